"""Exactly the images asked for, the same bytes whoever draws them."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gan_augment.commands import sample as sampling
from gan_augment.commands.sample import sample
from gan_augment.data.images.png_folder import read_manifest
from gan_augment.data.images.reader import read_images
from gan_augment.errors import (
    ModelFileError,
    OutputExistsError,
    ResumeMismatchError,
    TooFewAcceptedError,
    UnknownClassError,
    UsageError,
    WriteFailedError,
)
from gan_augment.generators.image_gan import ImageGAN
from gan_augment.recipes import SelectionSettings, resolve_recipe
from gan_augment.training.callbacks import StopRequested
from tests.commands.conftest import contents, files


def test_the_default_brings_the_rare_class_level_with_the_largest(run, tmp_path):
    result = sample(run, tmp_path / "out")
    assert result.counts == {"bad_part": 25}
    assert result.to_dict()["images"] == 25
    assert len(list((tmp_path / "out" / "bad_part").iterdir())) == 25


def test_counts_by_class_are_exact_and_in_the_manifest(run, tmp_path):
    sample(run, tmp_path / "out", counts={"good": 3, "odd": 70, "bad_part": 0})
    rows = read_manifest(tmp_path / "out" / "manifest.csv")
    assert [(r.label, r.index) for r in rows] == [
        *(("good", i) for i in range(3)),
        *(("odd", i) for i in range(70)),
    ]
    assert {r.origin for r in rows} == {"synthetic"}
    written = set(files(tmp_path / "out")) - {"manifest.csv"}
    assert written == {r.path for r in rows}


def test_one_number_is_for_every_class_named(run, tmp_path):
    result = sample(run, tmp_path / "out", counts=2, classes="all")
    assert result.counts == {"bad_part": 2, "good": 2, "odd": 2}


def test_images_are_those_of_the_model_and_marked_synthetic(run, tmp_path):
    sample(run, tmp_path / "out", counts={"odd": 2}, seed=3)
    expected = ImageGAN.load(run / "model", threads=1).sample({"odd": 2}, random_state=3)
    with Image.open(tmp_path / "out" / "odd" / "000001.png") as image:
        assert image.text["Synthetic"] == "true"
        np.testing.assert_array_equal(np.asarray(image), expected.pixels[1, ..., 0])


def test_the_first_images_are_the_same_however_many_are_drawn(run, tmp_path):
    sample(run, tmp_path / "few", counts={"odd": 10})
    sample(run, tmp_path / "many", counts={"odd": 100, "good": 1})
    few, many = files(tmp_path / "few"), files(tmp_path / "many")
    del few["manifest.csv"]
    assert few.items() <= many.items()


def test_the_seed_changes_the_images(run, tmp_path):
    for seed in (0, 1):
        sample(run, tmp_path / str(seed), counts={"odd": 1}, seed=seed)
    assert files(tmp_path / "0")["odd/000000.png"] != files(tmp_path / "1")["odd/000000.png"]


@pytest.mark.slow
def test_workers_write_the_same_bytes_as_this_process(run, tmp_path):
    counts = {"odd": 130, "good": 70}
    sample(run, tmp_path / "one", counts=counts, workers=1)
    sample(run, tmp_path / "two", counts=counts, workers=2)
    assert files(tmp_path / "one") == files(tmp_path / "two")


@pytest.mark.slow
def test_workers_write_what_this_process_selects(data_folder, tmp_path):
    picky = resolve_recipe("auto").model_copy(
        update={"selection": SelectionSettings(label=0, outlier=0, logit=0.4)}
    )
    gan = ImageGAN(recipe=picky, steps=2, device="cpu", threads=1).fit(
        read_images(data_folder).data
    )
    gan.save(tmp_path / "run" / "model")
    counts = {"odd": 130, "bad_part": 9, "good": 70}
    for n in (1, 3):
        with pytest.raises(TooFewAcceptedError, match="5 training images of 'bad_part'"):
            sample(tmp_path / "run", tmp_path / str(n), counts=counts, workers=n)
    assert files(tmp_path / "1") == files(tmp_path / "3")
    with Image.open(tmp_path / "1" / "odd" / "000129.png") as image:
        expected = gan.rows("odd", 129, 130)[0, ..., 0]
        np.testing.assert_array_equal(np.asarray(image), expected)
    (tmp_path / "3" / "odd" / "000002.png").unlink()
    with pytest.raises(TooFewAcceptedError):
        sample(tmp_path / "run", tmp_path / "3", counts=counts, workers=2, resume=True)
    assert files(tmp_path / "1") == files(tmp_path / "3")


@pytest.mark.slow
def test_an_error_of_a_worker_is_told_as_it_is(run, tmp_path):
    bad = run.parent / "damaged"
    (bad / "model").mkdir(parents=True, exist_ok=True)
    for name in ("manifest.json", "model.json", "tensors.safetensors"):
        content = (run / "model" / name).read_bytes()
        (bad / "model" / name).write_bytes(content[:-1] if name.startswith("t") else content)
    with pytest.raises(ModelFileError, match=r"tensors\.safetensors"):
        sample(bad, tmp_path / "out", counts={"odd": 130}, workers=2)


def test_a_stopped_run_goes_on_and_ends_the_same(run, tmp_path, monkeypatch):
    sample(run, tmp_path / "whole", counts={"odd": 130})
    real, calls = sampling._Span.place, []

    def stopping(*args):
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(sampling._Span, "place", stopping)
    with pytest.raises(StopRequested):
        sample(run, tmp_path / "cut", counts={"odd": 130})
    damaged = tmp_path / "cut" / "odd" / "000003.png"
    damaged.write_bytes(damaged.read_bytes()[:20])
    result = sample(run, tmp_path / "cut", counts={"odd": 130}, resume=True)
    assert files(tmp_path / "cut") == files(tmp_path / "whole")
    assert result.kept == 63
    again = sample(run, tmp_path / "cut", counts={"odd": 130}, resume=True)
    assert again.kept == 130


def test_resuming_with_other_counts_is_refused(run, tmp_path):
    sample(run, tmp_path / "out", counts={"odd": 2})
    with pytest.raises(ResumeMismatchError, match="counts"):
        sample(run, tmp_path / "out", counts={"odd": 3}, resume=True)


def test_a_folder_that_is_not_empty_is_refused_and_kept(run, tmp_path):
    sample(run, tmp_path / "out", counts={"odd": 2})
    with pytest.raises(OutputExistsError):
        sample(run, tmp_path / "out", counts={"odd": 1})
    sample(run, tmp_path / "out", counts={"odd": 1}, overwrite=True)
    assert set(files(tmp_path / "out")) == {"odd/000000.png", "manifest.csv"}


def test_a_misspelt_class_is_named_with_the_nearest(run, tmp_path):
    with pytest.raises(UnknownClassError, match="Did you mean 'odd'"):
        sample(run, tmp_path / "out", counts={"od": 2})
    with pytest.raises(UnknownClassError, match="Did you mean 'good'"):
        sample(run, tmp_path / "out", classes="goood")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("counts", [{"odd": -1}, {"odd": 1.5}, {"odd": True}, 0, {}])
def test_counts_that_make_no_sense_are_refused(run, tmp_path, counts):
    with pytest.raises(UsageError):
        sample(run, tmp_path / "out", counts=counts)


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(ModelFileError, match="there is no"):
        sample(tmp_path / "runs" / "x", tmp_path / "out")
    with pytest.raises(ModelFileError, match="without a model"):
        sample(tmp_path, tmp_path / "out")


def test_a_class_that_the_model_refuses_leaves_no_file_and_the_others_are_there(
    run, tmp_path, monkeypatch
):
    real = ImageGAN.sample_block

    def picky(self, name, number, random_state=0):
        if name == "odd" and number:
            raise TooFewAcceptedError("odd: 3 of 100 candidates are accepted")
        return real(self, name, number, random_state)

    monkeypatch.setattr(ImageGAN, "sample_block", picky)
    with pytest.raises(TooFewAcceptedError, match="3 of 100"):
        sample(run, tmp_path / "out", counts={"odd": 100, "good": 2})
    assert set(files(tmp_path / "out")) == {"good/000000.png", "good/000001.png", "manifest.csv"}


MANY = 20_000
slow_linux = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc"),
]


def children(pid: int) -> list[int]:
    by_thread = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for listed in by_thread for child in listed.read_text().split()]


def wait_until(condition, limit_s: float = 300.0) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
@pytest.mark.parametrize("nth", [1, 2, 3, 7])
def test_a_disk_that_refuses_any_write_leaves_whole_files_and_a_way_on(
    run, tmp_path, monkeypatch, number, nth
):
    real, calls = os.write, []

    def failing(*args):
        calls.append(args)
        if len(calls) == nth:
            raise OSError(number, os.strerror(number))
        return real(*args)

    sample(run, tmp_path / "whole", counts={"odd": 5})
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", failing)
        with pytest.raises(WriteFailedError) as caught:
            sample(run, tmp_path / "out", counts={"odd": 5})
    assert "\n" not in str(caught.value)
    left = contents(tmp_path / "out") if (tmp_path / "out").exists() else {}
    assert not any(".tmp-" in name for name in left)
    sample(run, tmp_path / "out", counts={"odd": 5}, resume=True)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        pytest.param(signal.SIGTERM, 143, marks=slow_linux),
        pytest.param(signal.SIGKILL, -9, marks=slow_linux),
    ],
)
def test_a_stopped_sample_leaves_no_process_and_no_half_file(run, tmp_path, kind, code):
    out = tmp_path / "out"
    counts = f"odd={MANY},good={MANY}"
    arguments = ["sample", run, out, "--counts", counts, "--workers", "2"]
    process = subprocess.Popen([sys.executable, "-m", "gan_augment_cli", *map(str, arguments)])
    wait_until(lambda: (out / "odd" / "000100.png").exists())
    workers = children(process.pid)
    process.send_signal(kind)
    assert process.wait(timeout=60) == code
    wait_until(lambda: not any(alive(pid) for pid in workers))
    assert len(workers) >= 2  # and trackers of theirs
    assert not (out / "manifest.csv").exists()
    finished = list(out.glob("*/*.png"))
    assert 100 < len(finished) < 2 * MANY
    assert all(path.read_bytes().endswith(b"IEND\xaeB\x60\x82") for path in finished)
