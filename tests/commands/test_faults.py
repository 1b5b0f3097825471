"""A few trials of `make faults`: nothing is lost or half-written, and of two starts one wins."""

import os
import shutil

import pytest

from tools.faults.commands import WORKS, Place, rivalry, trial
from tools.faults.disk import Fault, command

ANEW = next(work for work in WORKS if work.name == "sample-table-anew")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="trials are forked"),
]


@pytest.fixture(scope="module")
def place(table_run, tmp_path_factory) -> Place:
    root = tmp_path_factory.mktemp("faults").resolve()
    shutil.copytree(table_run, root / "base" / "table")
    return Place(root)


@pytest.mark.parametrize("kind", ["kill", "torn", "full", "read-only"])
def test_a_table_that_is_replaced_survives_whatever_happens(place, kind):
    operations = place.operations(ANEW)
    assert operations > 20
    for at in (operations // 2, operations - 8):
        assert not trial(place, ANEW, Fault(kind, at, at))
    place.check_given()


def test_of_two_starts_at_one_place_one_wins_and_one_exits_75(place):
    assert not rivalry(place, ANEW, 0)


def test_a_fault_happens_where_it_is_asked_for(place):
    ended = command(ANEW.words, place.home(ANEW), Fault("kill", 1))
    assert (ended.code, ended.operations) == (-9, 0)
    ended = command(ANEW.words, place.home(ANEW), Fault("full", 2))
    assert ended.code == 74
    assert "No space left" in ended.err
