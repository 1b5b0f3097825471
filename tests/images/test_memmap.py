"""Pixels beyond memory: mapped from a temporary file, as in memory, gone with the data."""

from __future__ import annotations

import errno
import gc
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gan_augment.data.images.memmap import drop_pages
from gan_augment.data.images.reader import read_images
from gan_augment.errors import WriteFailedError
from gan_augment.kinds.image import IMAGE

MIB = 1 << 20


@pytest.fixture
def temporary(tmp_path, monkeypatch) -> Path:
    """The system's folder for temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_mapped_images_are_those_of_memory_and_go_with_the_data(folder, temporary):
    root = folder(cat=5, dog=3)
    plain, mapped = read_images(root), read_images(root, map_above=0, workers=2)
    assert isinstance(mapped.data.pixels, np.memmap)
    assert not mapped.data.pixels.flags.writeable
    assert len(list(temporary.iterdir())) == 1
    assert mapped.scan == plain.scan
    assert mapped.notes == plain.notes
    assert IMAGE.sha256(mapped.data) == IMAGE.sha256(plain.data)
    del mapped
    gc.collect()
    assert not list(temporary.iterdir())


def test_mixed_channels_and_bad_files_are_as_in_memory(folder, temporary):
    root = folder(cat=3, dog=3)
    Image.new("L", (9, 9), 7).save(root / "cat" / "000.png")
    Image.new("LA", (9, 9), (7, 100)).save(root / "dog" / "000.png")
    (root / "cat" / "002.png").write_bytes(b"no image")
    plain, mapped = (read_images(root, image_size=(8, 8), map_above=n) for n in (None, 0))
    assert mapped.data.image_shape == (8, 8, 4)
    assert np.array_equal(mapped.data.pixels, plain.data.pixels)
    assert mapped.scan.rejected == plain.scan.rejected
    assert mapped.notes == plain.notes


def test_a_full_disk_is_one_error_and_leaves_nothing(folder, temporary, monkeypatch):
    def full(descriptor, offset, size):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(WriteFailedError, match=r"No space left on device.*TMPDIR"):
        read_images(folder(cat=3, dog=3), map_above=0, workers=2)
    gc.collect()
    assert not list(temporary.iterdir())


def test_a_forked_child_leaves_the_file(folder, temporary):
    data = read_images(folder(cat=2, dog=2), map_above=0).data
    child = os.fork()
    if child == 0:
        del data
        os._exit(0)
    os.waitpid(child, 0)
    assert len(list(temporary.iterdir())) == 1
    assert data.pixels.any()


MEASURE = """
import sys, threading, time
from pathlib import Path
import torch
from gan_augment.data.batches import PairedBatches
from gan_augment.data.images.reader import read_images
from gan_augment.kinds.image import IMAGE

def resident():
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS"))

def watch():
    while True:
        highest.append(resident())
        time.sleep(0.005)

before, highest = resident(), []
threading.Thread(target=watch, daemon=True).start()
data = read_images(sys.argv[1], image_size=(192, 192), map_above=int(sys.argv[2])).data
IMAGE.sha256(data)
batches = PairedBatches(data, size=4, power=0.5, padded=(192, 192), device=torch.device("cpu"))
for step in range(400):
    batches.at(0, step)
print((max(highest) - before) / data.pixels.nbytes)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_stays_below_the_pixels_when_they_are_read_hashed_and_drawn_from(tmp_path):
    """166 MB of pixels, of which about half was seen; held in memory they are more than all."""
    for i in range(1500):
        image = Image.new("RGB", (8, 8), (i % 251, i // 251, 9))
        (tmp_path / "data" / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
        image.save(tmp_path / "data" / "ab"[i % 2] / f"{i}.png")
    shares = [
        float(
            subprocess.run(
                [sys.executable, "-c", MEASURE, str(tmp_path / "data"), above],
                check=True,
                capture_output=True,
                text=True,
            ).stdout
        )
        for above in ("0", str(1 << 30))
    ]
    assert shares[0] < 0.9 < 1 < shares[1]


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
    drop_pages(rows)
    assert resident_bytes() - before < 4 * MIB
    assert rows[63, -1] == 7
