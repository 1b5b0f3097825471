"""Rows of a table are drawn exactly as asked, and written as the training file writes its own."""

import csv
import hashlib
import os
import shutil
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gan_augment.commands.sample import sample
from gan_augment.data.tables.csv import read_csv
from gan_augment.errors import (
    ModelFileError,
    OutputExistsError,
    UsageError,
    WriteFailedError,
)


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


def test_a_csv_looks_like_the_training_file(table_run, table_file, tmp_path):
    result = sample(table_run, tmp_path / "s.csv", counts={"yes": 5, "no": 2})
    assert lines(tmp_path / "s.csv")[0] == lines(table_file)[0]
    frame, dialect = read_csv(tmp_path / "s.csv")
    trained, original = read_csv(table_file)
    assert frame["fraud"].tolist() == ["yes"] * 5 + ["no"] * 2
    assert dialect.model_copy(update={"missing": original.missing}) == original
    assert frame.dtypes.equals(trained.dtypes)
    assert set(frame["place"].dropna()) <= set(trained["place"].dropna())
    assert sum(result.counts.values()) == 7
    assert result.counts == {"yes": 5, "no": 2}


def test_ids_are_numbered_through_the_whole_file(table_run, tmp_path):
    sample(table_run, tmp_path / "s.csv", counts={"yes": 3, "no": 4})
    assert read_csv(tmp_path / "s.csv")[0]["id"].tolist() == list(range(160, 167))


def test_more_rows_begin_with_the_fewer(table_run, tmp_path):
    sample(table_run, tmp_path / "few.csv", counts={"yes": 5})
    sample(table_run, tmp_path / "many.csv", counts={"yes": 1500})
    assert lines(tmp_path / "many.csv")[:6] == lines(tmp_path / "few.csv")
    sample(table_run, tmp_path / "other.csv", counts={"yes": 5}, seed=1)
    assert lines(tmp_path / "other.csv") != lines(tmp_path / "few.csv")


def test_the_manifest_has_a_line_a_row_and_none_of_an_original(table_run, tmp_path):
    sample(table_run, tmp_path / "s.csv", counts={"yes": 2, "no": 1})
    digest = hashlib.sha256((tmp_path / "s.csv").read_bytes()).hexdigest()
    with (tmp_path / "s.csv.manifest.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [
            ["row", "label", "origin", "source", "index"],
            ["0", "yes", "synthetic", "t", "0"],
            ["1", "yes", "synthetic", "t", "1"],
            ["2", "no", "synthetic", "t", "0"],
            ["3", "", "table", f"sha256:{digest}", "3"],
        ]


def test_without_counts_the_rare_classes_are_brought_level(table_run, tmp_path):
    assert sample(table_run, tmp_path / "s.csv").counts == {"yes": 36}


def test_a_mark_is_a_last_column(table_run, tmp_path):
    sample(table_run, tmp_path / "s.csv", counts={"yes": 2}, mark=True)
    assert [line.rpartition(";")[2] for line in lines(tmp_path / "s.csv")] == [
        *("origin", "synthetic", "synthetic"),
    ]


def test_parquet_can_be_written_from_a_run_on_a_csv(table_run, tmp_path):
    sample(table_run, tmp_path / "s.parquet", counts={"yes": 4}, mark=True)
    table = pq.read_table(tmp_path / "s.parquet")
    assert table.schema.names == [
        *("id", "amount", "place", "day", "is_new", "fraud", "origin"),
    ]
    assert pa.types.is_int64(table.schema.field("id").type)
    assert table["origin"].to_pylist() == ["synthetic"] * 4


def test_a_model_without_its_run_writes_plain_csv(table_run, tmp_path):
    shutil.copy(table_run / "model.safetensors", tmp_path / "m")
    sample(tmp_path / "m", tmp_path / "s.csv", counts={"yes": 2})
    frame = pd.read_csv(tmp_path / "s.csv")
    assert list(frame) == ["id", "amount", "place", "day", "is_new", "fraud"]
    sample(tmp_path / "m", tmp_path / "s.tsv", counts={"yes": 2})
    assert "\t" in lines(tmp_path / "s.tsv")[0]


def test_a_damaged_format_is_refused_in_one_line(table_run, tmp_path):
    run = Path(shutil.copytree(table_run, tmp_path / "run"))
    (run / "format.json").write_text("{")
    with pytest.raises(ModelFileError, match=r"format\.json"):
        sample(run, tmp_path / "s.csv", counts={"yes": 2})


def test_an_output_that_is_there_is_replaced_only_on_request(table_run, tmp_path):
    sample(table_run, tmp_path / "s.csv", counts={"yes": 2})
    before = (tmp_path / "s.csv").read_bytes()
    with pytest.raises(OutputExistsError, match="overwrite="):
        sample(table_run, tmp_path / "s.csv", counts={"yes": 3})
    assert (tmp_path / "s.csv").read_bytes() == before
    sample(table_run, tmp_path / "s.csv", counts={"yes": 3}, overwrite=True)
    assert len(lines(tmp_path / "s.csv")) == 4


def test_marks_are_refused_for_images(run, tmp_path):
    with pytest.raises(UsageError, match="for tables"):
        sample(run, tmp_path / "out", counts={"odd": 1}, mark=True)


def test_a_full_disk_leaves_nothing(table_run, tmp_path, monkeypatch):
    def full(*args):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(WriteFailedError, match="Free some space"):
        sample(table_run, tmp_path / "s.csv", counts={"yes": 2})
    assert not list(tmp_path.iterdir())
