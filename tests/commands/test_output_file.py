"""A table and its manifest are one output: held by one command, both old or both new."""

import os
from types import SimpleNamespace

import pytest

from gan_augment.commands.outputs import output_file
from gan_augment.commands.sample import sample
from gan_augment.data.tables import manifest_path
from gan_augment.errors import (
    FolderInUseError,
    OutputExistsError,
    ResumeMismatchError,
    WriteFailedError,
)
from tests.commands.conftest import files

DEAD_PID = 2**22 + 1


def pair(out):
    return out.read_bytes(), manifest_path(out).read_bytes()


def test_two_commands_cannot_write_one_table_but_its_neighbour(table_run, tmp_path):
    with output_file(tmp_path / "s.csv", "sample"):
        with pytest.raises(FolderInUseError, match=r"s\.csv' is in use"):
            sample(table_run, tmp_path / "s.csv", counts={"yes": 1})
        sample(table_run, tmp_path / "other.csv", counts={"yes": 1})
    assert set(files(tmp_path)) == {"other.csv", "other.csv.manifest.csv"}


def test_resuming_what_is_finished_draws_nothing_and_says_so(table_run, tmp_path, monkeypatch):
    out = tmp_path / "s.csv"
    sample(table_run, out, counts={"yes": 3})
    before = out.stat().st_ino, out.stat().st_mtime_ns
    again = sample(table_run, out, counts={"yes": 3}, resume=True)
    assert again.kept == 3
    assert (out.stat().st_ino, out.stat().st_mtime_ns) == before
    out.write_bytes(out.read_bytes() + b"edited")
    with pytest.raises(OutputExistsError, match="is there already"):
        sample(table_run, out, counts={"yes": 3}, resume=True)
    assert out.read_bytes().endswith(b"edited")


@pytest.mark.parametrize("resume", [True, False])
def test_a_call_that_was_killed_between_its_two_names_is_ended(table_run, tmp_path, resume):
    whole, out = tmp_path / "whole.csv", tmp_path / "s.csv"
    sample(table_run, whole, counts={"yes": 3})
    sample(table_run, out, counts={"yes": 3})
    manifest_path(out).rename(f"{manifest_path(out)}.tmp-{DEAD_PID}")
    if resume:
        sample(table_run, out, counts={"yes": 3}, resume=True)
    else:
        with pytest.raises(OutputExistsError):
            sample(table_run, out, counts={"yes": 3})
    assert pair(out) == pair(whole)
    assert len(files(tmp_path)) == 4


@pytest.mark.parametrize("since", [False, True])
def test_an_overwriting_that_stopped_goes_on_but_spares_what_came_since(
    table_run, tmp_path, monkeypatch, since
):
    out = tmp_path / "s.csv"
    sample(table_run, out, counts={"yes": 3})
    before = pair(out)

    def stop(*args, **settings):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("gan_augment.commands.sample.write_table", stop)
        with pytest.raises(KeyboardInterrupt, match="--resume goes on"):
            sample(table_run, out, counts={"yes": 5}, overwrite=True)
    assert pair(out) == before
    with pytest.raises(ResumeMismatchError, match="another counts"):
        sample(table_run, out, counts={"yes": 3}, resume=True)
    if since:
        out.write_bytes(b"theirs")
        with pytest.raises(OutputExistsError):
            sample(table_run, out, counts={"yes": 5}, resume=True)
        assert out.read_bytes() == b"theirs"
    else:
        sample(table_run, out, counts={"yes": 5}, resume=True)
        assert out.read_bytes().startswith(before[0])
        assert pair(out) != before


def test_a_table_that_comes_while_rows_are_drawn_is_not_replaced(table_run, tmp_path, monkeypatch):
    out, real = tmp_path / "s.csv", os.fsync

    def late(descriptor):
        out.write_bytes(b"theirs")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", late)
    with pytest.raises(OutputExistsError, match="came meanwhile"):
        sample(table_run, out, counts={"yes": 3})
    assert files(tmp_path) == {"s.csv": b"theirs"}


def test_rows_and_images_that_cannot_fit_the_disk_are_refused_first(
    table_run, table_file, run, data_folder, tmp_path, monkeypatch
):
    from gan_augment.commands.augment import augment
    from gan_augment.options import TopUp

    full = SimpleNamespace(f_frsize=512, f_bavail=100, f_files=0, f_favail=0)
    monkeypatch.setattr("gan_augment.storage.files.os.statvfs", lambda folder: full)
    many = TopUp(to=10**5)
    for refused in (
        lambda: sample(table_run, tmp_path / "s.csv", counts={"yes": 10**5}),
        lambda: sample(run, tmp_path / "s", counts={"odd": 10**5}),
        lambda: augment(table_file, tmp_path / "a.csv", model=table_run, top_up=many),
        lambda: augment(data_folder, tmp_path / "a", model=run, top_up=many),
    ):
        with pytest.raises(WriteFailedError, match="do not fit the disk"):
            refused()
    assert not list(tmp_path.iterdir())


def test_a_failure_after_both_names_were_given_is_resumed_as_done(table_run, tmp_path, monkeypatch):
    out = tmp_path / "s.csv"

    def failing(folder):  # the sync of the folder, the last of all
        if out.exists():
            raise OSError(28, os.strerror(28))

    with monkeypatch.context() as patch:
        patch.setattr("gan_augment.storage.files._sync", failing)
        with pytest.raises(WriteFailedError):
            sample(table_run, out, counts={"yes": 3})
    monkeypatch.setattr("gan_augment.commands.sample.write_table", None)
    assert sample(table_run, out, counts={"yes": 3}, resume=True).kept == 3
