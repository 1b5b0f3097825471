"""Decoded pixels in the cache folder: as in memory, verified, made again, never in the data."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gan_augment.data.image_files import decode_pool, pixel_cache, scan
from gan_augment.data.image_files.decode_pool import Answer
from gan_augment.data.image_files.pixel_cache import cache_above_bytes, cache_folder
from gan_augment.data.readers import data_sha256, read_images
from gan_augment.errors import UnreadableFilesError, UsageError, WriteFailedError


class Heard:
    def __init__(self) -> None:
        self.notes, self.phases = [], []

    def phase(self, name, total=None):
        self.phases.append(name)

    def advance(self, done, text=""): ...

    def note(self, text):
        self.notes.append(text)

    def warn(self, text):
        raise AssertionError(text)


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("GAN_AUGMENT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "images"


def read(root: Path, **how):
    """(what was read, what was heard), through the cache."""
    heard = Heard()
    return read_images(root, cache_above=0, progress=heard, **how), heard


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_cached_images_are_those_of_memory_and_are_decoded_once(folder, cache):
    root = folder(cat=5, dog=3)
    plain = read_images(root)
    for expected in ("reading images", "checking cached pixels"):
        found, heard = read(root)
        assert heard.phases[-1] == expected
        assert isinstance(found.data.pixels, np.memmap)
        assert not found.data.pixels.flags.writeable
        assert found.scan == plain.scan
        assert found.notes == plain.notes
        assert data_sha256(found.data) == data_sha256(plain.data)
    assert len(list(cache.iterdir())) == 1


def test_below_the_size_nothing_is_cached(folder, cache):
    read_images(folder(cat=2, dog=2))
    assert not cache.exists()


@pytest.mark.parametrize(("asked", "images"), [(12 * 8 * 3 * 4, 0), (12 * 8 * 3 * 4 - 1, 1)])
def test_the_size_counts_pixels_at_three_channels(folder, cache, asked, images):
    read_images(folder(cat=2, dog=2), cache_above=asked)
    assert len(files(cache)) // 4 == images


def test_images_of_mixed_channels_are_widened_as_in_memory(folder, cache):
    root = folder(cat=2, dog=2)
    Image.new("L", (9, 9), 7).save(root / "cat" / "000.png")
    Image.new("LA", (9, 9), (7, 100)).save(root / "dog" / "000.png")
    found, _ = read(root, image_size=(8, 8))
    expected = read_images(root, image_size=(8, 8))
    assert found.data.image_shape == (8, 8, 4)
    assert np.array_equal(found.data.pixels, expected.data.pixels)
    assert {Path(name).name for name in files(cache)[1:]} == {
        "facts.json",
        "manifest.json",
        "pixels.u8",
    }


def test_files_that_cannot_be_read_are_left_out_and_named_from_the_cache_too(folder, cache):
    root = folder(cat=3, dog=3)
    (root / "cat" / "001.png").write_bytes(b"no image")
    plain = read_images(root)
    for _ in range(2):
        found, heard = read(root)
        assert found.scan.rejected == plain.scan.rejected
        assert found.notes == plain.notes
        assert np.array_equal(found.data.pixels, plain.data.pixels)
    assert heard.phases[-1] == "checking cached pixels"


def test_a_file_refused_because_the_machine_was_slow_is_tried_again(folder, cache, monkeypatch):
    root, real = folder(cat=3, dog=3), scan.decode_files

    def slow(paths, size, *args, take, **kwargs):
        def passing(turn, answer):
            return take(turn, Answer({"reason": decode_pool._SLOW}) if turn == 1 else answer)

        return real(paths, size, *args, take=passing, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(scan, "decode_files", slow)
        found, _ = read(root, image_size=(8, 8))
    assert list(found.scan.rejected) == ["cat/001.png"]
    found, _ = read(root, image_size=(8, 8))
    assert not found.scan.rejected


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "cat" / "000.png").unlink(),
        lambda root: os.utime(root / "cat" / "000.png", ns=(0, 0)),
        lambda root: (root / "cat" / "000.png").rename(root / "cat" / "0.png"),
        lambda root: Image.new("L", (9, 9)).save(root / "cat" / "new.png"),
    ],
    ids=["removed", "touched", "renamed", "added"],
)
def test_changed_data_is_decoded_anew(folder, cache, change):
    root = folder(cat=4, dog=4)
    read(root)
    change(root)
    found, heard = read(root)
    assert heard.phases[-1] == "reading images"
    assert np.array_equal(found.data.pixels, read_images(root).data.pixels)


def test_a_file_rewritten_with_its_length_and_time_put_back_is_noticed(folder, cache):
    root = folder(cat=2, dog=2)
    path = root / "cat" / "000.bmp"
    Image.new("RGB", (9, 9), (1, 2, 3)).save(path)
    read(root)
    before = path.stat()
    Image.new("RGB", (9, 9), (9, 2, 3)).save(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    found, _ = read(root)
    assert np.array_equal(found.data.pixels, read_images(root).data.pixels)


def test_another_size_or_way_to_resize_has_an_entry_of_its_own(folder, cache):
    root = folder(cat=2, dog=2)
    for how in ({}, {"image_size": (8, 8)}, {"image_size": (8, 8), "resize": "pad"}):
        found, _ = read(root, **how)
        assert np.array_equal(found.data.pixels, read_images(root, **how).data.pixels)
    assert len(list(cache.iterdir())) == 3


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["pixels.u8", "facts.json", "manifest.json"])
@pytest.mark.parametrize(
    "damage",
    [flipped, lambda path: os.truncate(path, path.stat().st_size - 1), Path.unlink],
    ids=["flipped", "truncated", "missing"],
)
def test_a_damaged_entry_is_made_again_with_a_note(folder, cache, name, damage):
    root = folder(cat=2, dog=2)
    read(root)
    (entry,) = cache.iterdir()
    damage(entry / name)
    found, heard = read(root)
    assert "is damaged" in heard.notes[0]
    assert "decoded again" in heard.notes[0]
    assert data_sha256(found.data) == data_sha256(read_images(root).data)
    assert read(root)[1].phases[-1] == "checking cached pixels"


def test_a_shape_that_the_pixels_do_not_have_is_not_mapped(folder, cache):
    root = folder(cat=2, dog=2)
    read(root)
    (entry,) = cache.iterdir()
    manifest = json.loads((entry / "manifest.json").read_text())
    manifest["shape"][0] = 10**12
    (entry / "manifest.json").write_text(json.dumps(manifest))
    found, heard = read(root)
    assert "is damaged" in heard.notes[0]
    assert len(found.data) == 4


def test_a_full_disk_is_said_in_one_line_and_leaves_nothing(folder, cache, monkeypatch):
    root = folder(cat=3, dog=3)

    class Full(pixel_cache._Writer):
        def write(self, content) -> None:
            if self._bytes:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            super().write(content)

    monkeypatch.setattr(pixel_cache, "_Writer", Full)
    with pytest.raises(WriteFailedError, match="No space left on device") as failed:
        read(root, workers=2)
    assert "\n" not in str(failed.value)
    assert "GAN_AUGMENT_CACHE names another folder" in str(failed.value)
    assert files(cache) == []


def test_data_that_is_refused_leaves_what_was_decoded_for_the_next_try(folder, cache):
    root = folder(cat=3, dog=3)
    for name in ("000", "001"):
        (root / "cat" / f"{name}.png").write_bytes(b"no image")
    with pytest.raises(UnreadableFilesError):
        read(root)
    found, heard = read(root, skip_bad=True)
    assert heard.phases[-1] == "checking cached pixels"
    assert found.data.counts == {"cat": 1, "dog": 3}


def test_what_a_killed_process_left_is_swept_up(folder, cache):
    root = folder(cat=2, dog=2)
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    left = cache / f"{'0' * 64}.tmp-{process.pid}"
    left.mkdir(parents=True)
    read(root)
    assert not left.exists()


BUILD = """
import sys
from gan_augment.data.readers import data_sha256, read_images
sys.stdin.readline()
print(data_sha256(read_images(sys.argv[1], cache_above=0).data))
"""


@pytest.mark.slow
def test_processes_that_build_at_once_all_succeed_with_one_entry(folder, cache):
    root = folder(cat=30, dog=30)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", BUILD, str(root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    with ThreadPoolExecutor(4) as pool:
        said = {out for out, _ in pool.map(lambda p: p.communicate("go\n"), processes)}
    assert [process.returncode for process in processes] == [0] * 4
    assert said == {data_sha256(read_images(root).data) + "\n"}
    assert len(list(cache.iterdir())) == 1


MEASURE = """
import sys, threading, time
from pathlib import Path
import torch
from gan_augment.data.batches import PairedBatches
from gan_augment.data.readers import data_sha256, read_images

def resident():
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS"))

def watch():
    while True:
        highest.append(resident())
        time.sleep(0.005)

before, highest = resident(), []
threading.Thread(target=watch, daemon=True).start()
data = read_images(sys.argv[1], image_size=(192, 192), cache_above=int(sys.argv[2])).data
data_sha256(data)
batches = PairedBatches(data, size=4, power=0.5, padded=(192, 192), device=torch.device("cpu"))
for step in range(400):
    batches.at(0, step)
print((max(highest) - before) / data.pixels.nbytes)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_stays_below_the_pixels_when_they_are_read_hashed_and_drawn_from(tmp_path, cache):
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
    assert shares[0] < 0.8 < 1 < shares[1]


def test_a_cache_folder_inside_the_data_is_refused(folder, monkeypatch):
    root = folder(cat=2, dog=2)
    monkeypatch.setenv("GAN_AUGMENT_CACHE", str(root / "cache"))
    with pytest.raises(UsageError, match="lies in the data"):
        read(root)
    assert not (root / "cache").exists()


def test_the_folder_follows_the_environment(monkeypatch, tmp_path):
    for name in ("GAN_AUGMENT_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "gan-augment"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/is/ignored")
    assert cache_folder() == tmp_path / ".cache" / "gan-augment"
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/cache")
    assert cache_folder() == Path("/var/cache/gan-augment")
    monkeypatch.setenv("GAN_AUGMENT_CACHE", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"


def test_the_size_is_a_gibibyte_less_on_a_small_machine_or_as_asked(monkeypatch):
    monkeypatch.setattr(pixel_cache, "memory_limit_bytes", lambda: 64 << 30)
    assert cache_above_bytes() == 1 << 30
    monkeypatch.setattr(pixel_cache, "memory_limit_bytes", lambda: 1 << 30)
    assert cache_above_bytes() == int(0.3 * (1 << 30))
    monkeypatch.setenv("GAN_AUGMENT_CACHE_ABOVE", "16")
    assert cache_above_bytes() == 16 << 20
    monkeypatch.setenv("GAN_AUGMENT_CACHE_ABOVE", "1 GiB")
    with pytest.raises(UsageError, match="whole number of MiB"):
        cache_above_bytes()
