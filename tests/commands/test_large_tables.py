"""Parquet tables of more rows than are learned from: which rows are read, and a top-up of all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from gan_augment.commands.augment import augment
from gan_augment.commands.fit import fit, plan_fit
from gan_augment.commands.source import read_data
from gan_augment.data.tables.reader import read_table
from gan_augment.errors import DataError, ResumeMismatchError, UsageError
from gan_augment.options import FitOptions

ROWS, MOST = 20_000, 2_000
OPTIONS = FitOptions(target="kind", most_rows=MOST)


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    kind = rng.permutation(np.repeat(["plain", "bent", "torn"], [19_000, 970, 30]))
    return pd.DataFrame(
        {
            "number": np.arange(7, ROWS + 7),
            "size": rng.normal(size=ROWS).round(3),
            "wear": rng.exponential(size=ROWS),
            "kind": kind,
            "account": [f"synthetic-{i:06d}" for i in rng.permutation(ROWS)],
        }
    )


@pytest.fixture(scope="module")
def file(frame: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("large") / "rows.parquet"
    frame.to_parquet(path, index=False, row_group_size=3_000)
    return path


def test_small_classes_are_read_whole_and_rows_keep_their_numbers(file, frame):
    read = read_table(file, "kind", most_rows=MOST)
    assert read.counts == {"bent": 970, "plain": 19_000, "torn": 30}
    assert read.table.counts == {"bent": 970, "plain": 1_000, "torn": 30}
    assert "2,000 of 20,000 rows: 1,000 of 19,000 of plain, and all of" in read.notes[0]
    rows = [int(id_.removeprefix("row-")) for id_ in read.table.ids]
    assert rows == sorted(set(rows))
    expected = frame.iloc[rows]
    assert (read.table.frame["wear"].to_numpy() == expected["wear"]).all()
    names = np.array(read.table.names)[read.table.labels]
    assert (names == expected["kind"]).all()


def test_large_classes_share_what_small_ones_leave(frame, tmp_path):
    sizes = [19_000, 3_000, 700]
    kinds = pd.DataFrame({"x": np.arange(sum(sizes)) / 7, "kind": np.repeat(list("abc"), sizes)})
    kinds.to_parquet(tmp_path / "t.parquet", index=False)
    found = read_table(tmp_path / "t.parquet", "kind", most_rows=MOST)
    assert found.table.counts == {"a": 667, "b": 667, "c": 666}
    assert "666 of 700 of c" in found.notes[0]
    assert "other classes" not in found.notes[0]


def test_ids_are_those_of_the_whole_file(file):
    whole, read = (read_table(file, "kind", most_rows=most) for most in (None, MOST))
    for mine, theirs in zip(read.schema.columns, whole.schema.columns, strict=True):
        facts = ("name", "kind", "last")
        assert [getattr(mine, f) for f in facts if mine.kind == "id"] == [
            getattr(theirs, f) for f in facts if theirs.kind == "id"
        ]
    assert [column.kind for column in read.schema.columns] == ["id", "numeric", "numeric", "id"]


def test_whole_numbers_that_begin_anew_are_no_id(frame, tmp_path):
    frame = frame.assign(number=np.arange(ROWS) % 9_000)
    frame.to_parquet(tmp_path / "t.parquet", index=False, row_group_size=9_000)
    read = read_table(tmp_path / "t.parquet", "kind", most_rows=MOST)
    assert read.schema.columns[0].kind == "numeric"


def test_a_file_of_as_many_rows_is_read_whole(file, frame):
    read = read_table(file, "kind", most_rows=ROWS)
    assert read.whole is None
    assert len(read.table) == len(frame)


def test_missing_labels_and_an_unknown_target_are_refused(frame, tmp_path):
    frame = frame.assign(kind=frame["kind"].where(frame.index != 17_000))
    frame.to_parquet(tmp_path / "t.parquet", index=False)
    with pytest.raises(DataError, match="the first: row 17000"):
        read_table(tmp_path / "t.parquet", "kind", most_rows=MOST)
    with pytest.raises(UsageError, match="Did you mean 'kind'"):
        read_table(tmp_path / "t.parquet", "kinds", most_rows=MOST)


def test_the_plan_and_the_fit_say_what_is_learned_from(file, tmp_path):
    plan = plan_fit(file, OPTIONS, tmp_path / "run")
    assert plan.data.counts == {"bent": 970, "plain": 19_000, "torn": 30}
    assert any(line.startswith("20000 rows of 3 classes") for line in plan.lines())
    assert any("learned from 2,000 of 20,000 rows" in line for line in plan.lines())
    result = fit(file, tmp_path / "run", OPTIONS)
    assert any("learned from 2,000" in line for line in result.warnings)


def test_a_top_up_counts_and_keeps_all_rows_and_numbers_on(file, frame, tmp_path):
    out = tmp_path / "out.parquet"
    result = augment(file, out, options=OPTIONS, run=tmp_path / "run")
    assert {name: of["real"] for name, of in result.counts.items()} == {
        "bent": 970,
        "plain": 19_000,
        "torn": 30,
    }
    written = pd.read_parquet(out)
    pd.testing.assert_frame_equal(written[:ROWS], frame)
    assert (written["kind"].value_counts() == 19_000).all()
    assert written["number"].is_unique
    assert written["account"].is_unique
    manifest = pd.read_csv(result.manifest)
    repeats = manifest[manifest.origin == "repeat"]
    sources = repeats["source"].str.removeprefix("row-").astype(int).to_numpy()
    assert (written["wear"].iloc[repeats["row"]].to_numpy() == frame["wear"].iloc[sources]).all()
    groups = pq.ParquetFile(out).metadata
    assert [groups.row_group(i).num_rows for i in range(6)] == [3_000] * 6


def test_another_file_with_the_same_sample_is_told_apart(file, frame, tmp_path):
    read = read_data(file, OPTIONS, sampled=True)
    left = sorted(set(range(ROWS)) - {int(id_[4:]) for id_ in read.data.ids})
    changed = frame.copy()
    changed.loc[left[0], "wear"] = 99.5
    changed.to_parquet(tmp_path / "t.parquet", index=False, row_group_size=3_000)
    other = read_data(tmp_path / "t.parquet", OPTIONS, sampled=True)
    assert (other.data.frame["wear"] == read.data.frame["wear"]).all()
    assert other.sha256 != read.sha256
    assert replace(read).sha256 == read.sha256
    fit(file, tmp_path / "run", OPTIONS.model_copy(update={"steps": 2, "recipe": "anchored"}))
    with pytest.raises(ResumeMismatchError):
        fit(tmp_path / "t.parquet", tmp_path / "run", FitOptions(target="kind"), resume=True)


def test_images_have_no_rows(tmp_path):
    with pytest.raises(UsageError, match="not for images"):
        fit(tmp_path / "photos", tmp_path / "run", FitOptions(most_rows=MOST))
