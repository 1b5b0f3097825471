"""The journal: whole lines survive whatever happens to the last one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from gan_augment.errors import ResumeMismatchError
from gan_augment.storage.journal import Journal, Line, packed_labels, unpack_labels


def cell(fold: int, arm: str = "none") -> Line:
    return {"kind": "arm", "repeat": 0, "fold": fold, "arm": arm, "x": 0.1 + fold}


def filled(path: Path) -> Journal:
    journal = Journal(path)
    for line in ({"kind": "header", "asked": {}}, cell(1), cell(0, "gan"), cell(0)):
        journal.append(line)
    return journal


def test_lines_are_read_back_in_an_order_of_their_own(tmp_path: Path) -> None:
    written = filled(tmp_path / "journal.jsonl")
    read = Journal(tmp_path / "journal.jsonl")
    read.read()
    assert list(read.lines()) == list(written.lines()) == [cell(0, "gan"), cell(0), cell(1)]
    assert read.header == written.header


@pytest.mark.parametrize("cut", [1, 10, 40])
def test_a_torn_last_line_is_dropped_and_the_next_one_is_whole(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "journal.jsonl"
    filled(path)
    path.write_bytes(path.read_bytes()[:-cut])
    journal = Journal(path)
    journal.read()
    assert list(journal.lines()) == [cell(0, "gan"), cell(1)]
    journal.append(cell(2))
    assert [json.loads(text)["kind"] for text in path.read_text().splitlines()] == [
        "header",
        "arm",
        "arm",
        "arm",
    ]


def test_resuming_without_a_journal_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ResumeMismatchError, match="leave out resume="):
        Journal(tmp_path / "journal.jsonl").read()


def test_a_file_that_is_no_journal_is_refused_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text("my notes\n")
    with pytest.raises(ResumeMismatchError, match="does not begin as a journal"):
        Journal(path).read()
    assert path.read_text() == "my notes\n"


@pytest.mark.parametrize("n", [0, 1, 1000])
def test_labels_come_back(n: int) -> None:
    labels = np.random.default_rng(n).integers(0, 40, n)
    assert unpack_labels(packed_labels(labels)).tolist() == labels.tolist()
