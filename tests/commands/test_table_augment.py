"""A topped-up table is the original and new rows behind it, whole or not at all."""

import csv
import errno
import hashlib
import shutil
from collections import Counter
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from gan_augment.commands import sample as sampling
from gan_augment.commands.augment import augment
from gan_augment.data.tables.csv import read_csv
from gan_augment.errors import (
    DataError,
    OutputExistsError,
    UsageError,
    WriteFailedError,
)
from gan_augment.generators.tabular_gan import TabularGAN
from gan_augment.options import FitOptions, TopUp
from gan_augment.progress import Progress
from gan_augment.training.callbacks import StopRequested
from tests.commands.conftest import contents, files

HALF = TopUp(synthetic_share=0.5, companions=False)
QUICK = FitOptions(target="fraud", steps=3, device="cpu", threads=1)


def manifest(out: Path) -> list[dict[str, str]]:
    with out.with_name(f"{out.name}.manifest.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def parquet_file(table_file, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("parquet") / "t.parquet"
    read_csv(table_file)[0].to_parquet(path, index=False, row_group_size=25)
    return path


def test_the_original_keeps_its_bytes_and_new_lines_follow(table_run, table_file, tmp_path):
    out, before = tmp_path / "out.csv", table_file.read_bytes()
    result = augment(table_file, out, model=table_run, top_up=HALF)
    written = out.read_bytes()
    assert written.startswith(before + b"\n")
    assert table_file.read_bytes() == before
    assert result.counts == {
        "no": {"real": 48, "repeat": 0, "synthetic": 0, "companion": 0},
        "yes": {"real": 12, "repeat": 18, "synthetic": 18, "companion": 0},
    }
    new = written[len(before) + 1 :].decode().splitlines()
    assert len(new) == 36
    assert all(line.endswith(";yes") and line.count(",") == 1 for line in new)
    assert sum(sum(n.values()) for n in result.counts.values()) == 96


def test_the_dtypes_of_the_result_are_those_of_the_original(table_run, table_file, tmp_path):
    augment(table_file, tmp_path / "out.csv", model=table_run)
    before, after = read_csv(table_file), read_csv(tmp_path / "out.csv")
    assert before[0].dtypes.equals(after[0].dtypes)
    assert before[1] == after[1]


def test_ids_go_on_through_all_new_rows(table_run, table_file, tmp_path):
    augment(table_file, tmp_path / "out.csv", model=table_run, top_up=HALF)
    ids = read_csv(tmp_path / "out.csv")[0]["id"].tolist()
    assert sorted(ids) == list(range(100, 196))
    assert ids[60:] == list(range(160, 196))


def test_ids_of_text_tell_repeats_from_synthetic_rows(tmp_path):
    rows = [f"p{i:03d}x,{i % 7}.5,{'yes' if i < 12 else 'no'}" for i in range(60)]
    (tmp_path / "t.csv").write_text("\n".join(["patient,amount,fraud", *rows]))
    augment(tmp_path / "t.csv", tmp_path / "out.csv", run=tmp_path / "run", options=QUICK)
    ids = read_csv(tmp_path / "out.csv")[0]["patient"].tolist()
    origins = [row["origin"] for row in manifest(tmp_path / "out.csv")[1:-1]]
    assert {"repeat", "synthetic"} == set(origins)
    assert ids[60:] == [f"{origin}-{i:06d}" for i, origin in enumerate(origins, 1)]


def test_the_manifest_tells_where_every_new_row_is_from(table_run, table_file, tmp_path):
    out = tmp_path / "out.csv"
    augment(table_file, out, model=table_run, top_up=HALF)
    head, *rows, last = manifest(out)
    assert head == {"row": "0", "label": "", "origin": "real", "source": "t.csv", "index": "60"}
    digest = hashlib.sha256(out.read_bytes()).hexdigest()
    assert (last["origin"], last["source"], last["index"]) == ("table", f"sha256:{digest}", "96")
    assert [int(row["row"]) for row in rows] == list(range(60, 96))
    assert Counter((row["label"], row["origin"]) for row in rows) == {
        ("yes", "repeat"): 18,
        ("yes", "synthetic"): 18,
    }
    frame = read_csv(out)[0]
    for row in rows[:18]:
        source = int(row["source"].removeprefix("row-"))
        again = frame.iloc[int(row["row"])].drop("id")
        pd.testing.assert_series_equal(again, frame.iloc[source].drop("id"), check_names=False)


def test_companions_are_marked_as_such(table_run, table_file, tmp_path):
    out = tmp_path / "out.csv"
    both = TopUp(to=60, synthetic_share=0.5, companions=True)
    result = augment(table_file, out, model=table_run, top_up=both)
    assert result.counts["no"]["companion"] == 12
    assert Counter(row["origin"] for row in manifest(out))["companion"] == 12


def test_chunks_make_no_difference(table_run, table_file, tmp_path, monkeypatch):
    augment(table_file, tmp_path / "a.csv", model=table_run, top_up=HALF)
    monkeypatch.setattr(sampling, "ROWS_AT_ONCE", 5)
    augment(table_file, tmp_path / "b.csv", model=table_run, top_up=HALF)
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    assert manifest(tmp_path / "a.csv") == manifest(tmp_path / "b.csv")


def test_a_mark_tells_real_rows_repeats_and_synthetic_rows_apart(table_run, table_file, tmp_path):
    out = tmp_path / "out.csv"
    augment(table_file, out, model=table_run, mark=True, top_up=HALF)
    before = table_file.read_text().splitlines()
    lines = out.read_text().splitlines()
    assert lines[0] == before[0] + ";origin"
    assert lines[1:61] == [f"{line};real" for line in before[1:]]
    assert [line.rpartition(";")[2] for line in lines[61:]] == ["repeat"] * 18 + ["synthetic"] * 18
    with pytest.raises(UsageError, match="mark="):
        augment(out, tmp_path / "twice.csv", options=QUICK, mark=True)


def test_parquet_keeps_its_schema_and_its_rows(parquet_file, tmp_path):
    out = tmp_path / "out.parquet"
    result = augment(parquet_file, out, options=QUICK, run=tmp_path / "run", top_up=HALF)
    before, after = pq.ParquetFile(parquet_file), pq.ParquetFile(out)
    assert after.schema_arrow.equals(before.schema_arrow, check_metadata=True)
    assert after.read().slice(0, 60).equals(before.read())
    assert [after.metadata.row_group(i).num_rows for i in range(3)] == [25, 25, 10]
    assert pd.read_parquet(out)["fraud"].value_counts().to_dict() == {"no": 48, "yes": 48}
    assert result.run == tmp_path / "run"


def test_models_of_csv_and_parquet_files_serve_each_other_whatever_the_dates_and_the_order(
    table_run, table_file, tmp_path
):
    frame = read_csv(table_file)[0]
    frame["day"] = pd.to_datetime(frame["day"]).dt.date
    data = tmp_path / "dates.parquet"
    frame[frame.columns[::-1]].to_parquet(data, index=False)
    augment(data, tmp_path / "out.parquet", model=table_run)
    table = pq.read_table(tmp_path / "out.parquet")
    assert table.schema.equals(pq.read_schema(data), check_metadata=True)
    assert len(table) == 96
    days = set(pd.date_range("2020-01-01", "2020-03-01").date)
    assert set(table["day"].to_pylist()) <= days
    augment(data, tmp_path / "again.parquet", options=QUICK, run=tmp_path / "run")
    augment(table_file, tmp_path / "out.csv", model=tmp_path / "run")
    made = read_csv(tmp_path / "out.csv")[0]
    assert made.dtypes.equals(read_csv(table_file)[0].dtypes)
    assert set(pd.to_datetime(made["day"], format="%Y-%m-%d").dt.date) <= days


def test_the_data_is_never_written_over(table_run, table_file, tmp_path):
    data = Path(shutil.copy(table_file, tmp_path / "t.csv"))
    (tmp_path / "link.csv").symlink_to(data)
    for name in ("t.csv", "link.csv", "../" + tmp_path.name + "/t.csv"):
        with pytest.raises(UsageError, match="never written to"):
            augment(data, tmp_path / name, model=table_run, overwrite=True)
    manifest_like = Path(shutil.copy(table_file, tmp_path / "x.csv.manifest.csv"))
    with pytest.raises(UsageError, match="never written to"):
        augment(manifest_like, tmp_path / "x.csv", model=table_run, overwrite=True)
    assert data.read_bytes() == manifest_like.read_bytes() == table_file.read_bytes()


def test_data_that_may_only_be_read_is_enough(table_run, table_file, tmp_path):
    folder = tmp_path / "given"
    folder.mkdir()
    data = Path(shutil.copy(table_file, folder / "t.csv"))
    data.chmod(0o400)
    folder.chmod(0o500)
    augment(data, tmp_path / "out.csv", model=table_run)
    folder.chmod(0o700)
    assert [entry.name for entry in folder.iterdir()] == ["t.csv"]


def test_a_file_that_is_there_is_replaced_only_on_request(table_run, table_file, tmp_path):
    out = tmp_path / "out.csv"
    out.write_text("mine")
    with pytest.raises(OutputExistsError, match="overwrite="):
        augment(table_file, out, model=table_run)
    assert contents(tmp_path) == {"out.csv": b"mine"}
    augment(table_file, out, model=table_run, overwrite=True)
    assert out.read_bytes().startswith(table_file.read_bytes())
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(OutputExistsError, match="is a folder"):
        augment(table_file, tmp_path / "folder.csv", model=table_run, overwrite=True)
    (tmp_path / "new.csv.manifest.csv").write_text("mine")
    with pytest.raises(OutputExistsError, match="manifest"):
        augment(table_file, tmp_path / "new.csv", model=table_run)


@pytest.mark.parametrize("name", ["out.parquet", "out", "out.xlsx"])
def test_an_output_of_another_kind_is_refused(table_run, table_file, tmp_path, name):
    with pytest.raises(UsageError, match=name):
        augment(table_file, tmp_path / name, model=table_run)
    assert not list(tmp_path.iterdir())


def test_other_columns_classes_and_kinds_of_model_are_refused(
    table_run, table_file, run, data_folder, tmp_path
):
    out = tmp_path / "out.csv"
    lines = table_file.read_text().splitlines()
    (tmp_path / "names.csv").write_text("\n".join([lines[0].replace("amount", "sum"), *lines[1:]]))
    with pytest.raises(DataError, match="'amount'"):
        augment(tmp_path / "names.csv", out, model=table_run)
    (tmp_path / "texts.csv").write_text(
        "\n".join([lines[0], lines[1].replace(",", "x"), *lines[1:]])
    )
    with pytest.raises(DataError, match="'amount' is object in the data"):
        augment(tmp_path / "texts.csv", out, model=table_run)
    (tmp_path / "classes.csv").write_text("\n".join(lines).replace(";no", ";maybe"))
    with pytest.raises(DataError, match="not maybe"):
        augment(tmp_path / "classes.csv", out, model=table_run)
    with pytest.raises(UsageError, match="is of images"):
        augment(table_file, out, model=run, options=QUICK)
    with pytest.raises(UsageError, match="target is 'fraud'"):
        augment(table_file, out, model=table_run, options=FitOptions(target="place"))
    with pytest.raises(UsageError, match="for tables"):
        augment(data_folder, tmp_path / "out", model=run, mark=True)
    assert not out.exists()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
@pytest.mark.parametrize("nth", [1, 2, 3, 5, 6])
def test_a_disk_that_refuses_any_write_leaves_the_earlier_output(
    table_run, table_file, tmp_path, refuse, number, nth
):
    out = tmp_path / "out.csv"
    augment(table_file, out, model=table_run, top_up=HALF)
    before = files(tmp_path)
    refuse("write", number, nth)
    with pytest.raises(WriteFailedError) as caught:
        augment(table_file, out, model=table_run, mark=True, overwrite=True)
    assert "\n" not in str(caught.value)
    assert files(tmp_path) == before
    augment(table_file, out, model=table_run, mark=True, overwrite=True)
    assert b"synthetic\n" in out.read_bytes()
    assert set(contents(tmp_path)) == {"out.csv", "out.csv.manifest.csv"}


class Interrupting(Progress):
    """Interrupts when the first new rows are written."""

    name = ""

    def phase(self, name: str, total: int | None = None, done: int = 0) -> None:
        self.name = name

    def advance(self, done: int, text: str = "") -> None:
        if self.name == "writing rows":
            raise KeyboardInterrupt


def test_a_stopped_call_goes_on_with_the_run_it_began(table_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    augment(table_file, "whole.csv", options=QUICK, run="first")
    with pytest.raises(StopRequested, match="goes on"):
        augment(table_file, "cut.csv", options=QUICK, progress=Interrupting())
    assert {path.name for path in Path().iterdir()} == {
        *("whole.csv", "whole.csv.manifest.csv", "first", "runs")
    }
    monkeypatch.setattr(TabularGAN, "fit", None)
    result = augment(table_file, "cut.csv", options=QUICK)
    assert result.run.as_posix() == "runs/t"
    assert Path("cut.csv").read_bytes() == Path("whole.csv").read_bytes()
    assert {path.name for path in Path().iterdir()} == {
        *("whole.csv", "whole.csv.manifest.csv", "cut.csv", "cut.csv.manifest.csv"),
        *("first", "runs"),
    }


@pytest.mark.slow
def test_a_class_of_one_row_is_filled_with_repeats(table_file, tmp_path):
    lines = table_file.read_text().splitlines()
    lines[1] = lines[1].rpartition(";")[0] + ";never"
    (tmp_path / "t.csv").write_text("\n".join(lines))
    result = augment(tmp_path / "t.csv", tmp_path / "out.csv", options=QUICK, run=tmp_path / "run")
    assert result.counts["never"]["synthetic"] == 0
    assert result.counts["never"]["repeat"] == result.counts["no"]["real"] - 1
    assert "1 row" in result.refused["never"]


def test_where_only_repeats_are_asked_for_no_model_is_made(table_file, tmp_path, monkeypatch):
    monkeypatch.setattr(TabularGAN, "fit", None)
    out = tmp_path / "out.csv"
    result = augment(table_file, out, top_up=TopUp(synthetic_share=0), options=QUICK)
    assert result.run is None
    assert {row["origin"] for row in manifest(out)} == {"real", "repeat", "table"}
    assert out.read_bytes().startswith(table_file.read_bytes())
