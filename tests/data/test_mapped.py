"""Pages of mapped arrays are given back, and nothing is lost by it."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from gan_augment.data.mapped import release

MIB = 1 << 20


def resident_bytes() -> int:
    """Pages of files that this process holds, unit: bytes. Linux only."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssFile"))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_what_reading_a_mapped_array_took_is_given_back(tmp_path):
    np.full((64, MIB), 7, np.uint8).tofile(tmp_path / "rows")
    rows = np.memmap(tmp_path / "rows", np.uint8, "r", shape=(64, MIB))
    before = resident_bytes()
    assert rows.sum(dtype=np.int64) == 7 * 64 * MIB
    assert resident_bytes() - before > 60 * MIB
    release(rows)
    assert resident_bytes() - before < 4 * MIB
    assert rows[63, -1] == 7


def test_what_was_written_to_a_private_map_stays(tmp_path):
    np.zeros(MIB, np.uint8).tofile(tmp_path / "rows")
    rows = np.memmap(tmp_path / "rows", np.uint8, "c")
    rows[:] = 9
    release(rows)
    release(rows[5:])
    release(np.zeros(3))
    assert (rows == 9).all()
