"""No file in a folder of images crashes or hangs the reader; each reject has its reason."""

from __future__ import annotations

import importlib.util
import os
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gan_augment.data.images import pool
from gan_augment.data.images.decode import BadImageError, decode, header_size
from gan_augment.data.images.pool import decode_files
from gan_augment.data.images.reader import read_images
from gan_augment.errors import DataError, GanAugmentError, UnreadableFilesError

_spec = importlib.util.spec_from_file_location("crafted", Path(__file__).with_name("crafted.py"))
assert _spec is not None
assert _spec.loader is not None
crafted = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(crafted)
CRAFTED = crafted.all_crafted()


def test_there_are_at_least_forty_crafted_files():
    assert len(CRAFTED) >= 40


@pytest.mark.parametrize(("name", "raw", "reason"), CRAFTED, ids=[name for name, *_ in CRAFTED])
def test_each_crafted_file_is_used_or_refused_with_its_reason(name, raw, reason):
    started = time.monotonic()
    if reason is None:
        assert decode(raw).pixels.dtype == np.uint8
    else:
        with pytest.raises(BadImageError) as refusal:
            decode(raw)
        assert reason in str(refusal.value)
        assert "\n" not in str(refusal.value)
    assert time.monotonic() - started < 5


@pytest.mark.slow
def test_a_folder_of_all_crafted_files_is_read_with_every_reject_named(tmp_path, folder):
    root = folder(good=3)
    expected = crafted.write_all(root / "odd")
    scan = read_images(root, skip_bad=True).scan
    refused = {f"odd/{name}": reason for name, reason in expected.items() if reason is not None}
    assert scan.rejected.keys() == refused.keys()
    assert all(reason in scan.rejected[path] for path, reason in refused.items())
    assert scan.counts == {"good": 3, "odd": len(expected) - len(refused)}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data"]


@pytest.mark.slow
def test_without_skip_bad_such_a_folder_stops_the_run_and_names_the_cure(folder):
    root = folder(good=3)
    crafted.write_all(root / "odd")
    with pytest.raises(UnreadableFilesError, match="--skip-bad") as refusal:
        read_images(root)
    assert refusal.value.exit_code == 3
    assert "'odd/bad-depth.png': it " in str(refusal.value)


def test_a_file_that_takes_too_long_costs_only_itself(tmp_path):
    paths = [tmp_path / f"{i}.png" for i in range(7)]
    for path in paths:
        Image.new("L", (16, 16), 9).save(path)
    Image.new("RGB", (7000, 7000)).save(paths[3], compress_level=1)
    answers = decode_files(paths, (16, 16), workers=1, limit_s=0.1)
    reasons = [facts.get("reason") for facts, _ in answers]
    assert reasons.pop(3) == "decoding it takes longer than allowed"
    assert reasons == [None] * 6


def test_a_file_that_kills_its_decoder_costs_only_itself(tmp_path, monkeypatch):
    (tmp_path / "dying_worker.py").write_text(
        "import os\n"
        "from gan_augment.data.images import pool\n"
        "real = pool.decode_file\n"
        "def decode_file(path, size, how):\n"
        "    if 'poison' in str(path):\n"
        "        os.abort()\n"
        "    return real(path, size, how)\n"
        "pool.decode_file = decode_file\n"
        "pool.main()\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(pool, "_WORKER", "dying_worker")
    paths = [tmp_path / f"{name}.png" for name in ("a", "poison1", "b", "poison2", "poison3", "c")]
    for path in paths:
        Image.new("L", (8, 8), 9).save(path)
    answers = decode_files(paths, (8, 8), workers=2)
    crashed = "decoding it ends the process"
    assert [facts.get("reason") for facts, _ in answers] == [
        None,
        crashed,
        None,
        crashed,
        crashed,
        None,
    ]


def test_a_decoder_that_does_not_start_is_one_clear_error(tmp_path, monkeypatch):
    monkeypatch.setattr(pool, "_WORKER", "no_such_module")
    with pytest.raises(GanAugmentError, match="did not start"):
        list(decode_files([tmp_path / "a.png"], (8, 8)))


def test_reading_leaves_no_process_behind(folder):
    before = set(_children())
    read_images(folder(a=2, b=2))
    assert set(_children()) <= before


def _children() -> list[str]:
    tasks = Path(f"/proc/{os.getpid()}/task")
    return [pid for task in tasks.glob("*/children") for pid in task.read_text().split()]


def _mutated(raw: bytes, rng: np.random.Generator) -> bytes:
    """The bytes cut, flipped, overwritten or with a piece doubled."""
    data = bytearray(raw)
    for _ in range(int(rng.integers(1, 5))):
        at, kind = int(rng.integers(len(data))), int(rng.integers(4))
        if kind == 0:
            data[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            data[at : at + 4] = rng.bytes(4)
        elif kind == 2:
            data[at:at] = data[at : at + int(rng.integers(1, 64))]
        else:
            del data[max(at, 12) :]
    return bytes(data)


def _survives(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    sound = [raw for _, raw, reason in CRAFTED if reason is None]
    for _ in range(n):
        raw = _mutated(sound[int(rng.integers(len(sound)))], rng)
        for read in (header_size, decode):
            started = time.monotonic()
            with suppress(BadImageError):
                read(raw)
            assert time.monotonic() - started < 5


@pytest.mark.slow
def test_mutated_files_are_read_or_refused():
    _survives(200, seed=0)


@pytest.mark.campaign
def test_two_thousand_mutated_files_are_read_or_refused():
    _survives(2000, seed=1)


def test_links_that_leave_the_folder_are_rejected(tmp_path, folder):
    root = folder(cat=3, dog=3)
    outside = tmp_path / "secret.png"
    Image.new("L", (8, 8)).save(outside)
    (root / "cat" / "link.png").symlink_to(outside)
    (root / "dog" / "broken.png").symlink_to(root / "nowhere.png")
    scan = read_images(root).scan
    assert scan.rejected == {
        "cat/link.png": "it leads out of the folder",
        "dog/broken.png": "it is a broken link",
    }


def test_linked_folders_and_loops_are_not_entered(folder):
    root = folder(cat=3, dog=3)
    (root / "cat" / "again").symlink_to(root / "cat")
    (root / "dog" / "self.png").symlink_to("self.png")
    read = read_images(root)
    assert read.data.counts == {"cat": 3, "dog": 3}
    assert set(read.scan.rejected) == {"cat/again", "dog/self.png"}


def test_a_link_within_the_folder_is_read_and_grouped_with_its_target(folder):
    root = folder(cat=3, dog=3)
    (root / "cat" / "link.png").symlink_to(root / "cat" / "000.png")
    data = read_images(root).data
    assert data.groups is not None
    assert data.groups.tolist() == [0, -1, -1, 0, -1, -1, -1]


def test_a_pipe_called_an_image_is_rejected_and_not_waited_for(folder):
    root = folder(cat=3, dog=3)
    os.mkfifo(root / "cat" / "pipe.png")
    assert read_images(root).scan.rejected == {"cat/pipe.png": "it is not a regular file"}


def test_a_folder_called_an_image_is_entered_as_a_folder(folder):
    root = folder(cat=3, dog=3)
    (root / "cat" / "000.png").rename(root / "cat" / "moved")
    (root / "cat" / "album.png").mkdir()
    (root / "cat" / "moved").rename(root / "cat" / "album.png" / "in.png")
    assert "cat/album.png/in.png" in read_images(root).data.ids


def test_names_that_are_not_utf8_are_rejected_and_printable(folder):
    root = folder(cat=3, dog=3)
    name = os.fsencode(root / "cat") + b"/\xff\xfe.png"
    Path(os.fsdecode(name)).write_bytes((root / "cat" / "000.png").read_bytes())
    rejected = read_images(root).scan.rejected
    assert list(rejected.values()) == ["its name is not valid UTF-8"]
    assert all(path.encode() for path in rejected)


def test_a_path_too_long_for_an_id_is_rejected(folder):
    root = folder(cat=3, dog=3)
    deep = root / "cat" / ("d" * 200) / ("e" * 200) / ("f" * 150)
    deep.mkdir(parents=True)
    (deep / "x.png").write_bytes((root / "cat" / "000.png").read_bytes())
    assert "512 is the limit" in next(iter(read_images(root).scan.rejected.values()))


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[31mb", "\x7f", " ", "x" * 201])
def test_class_folders_with_unprintable_names_are_refused_and_named(folder, name):
    root = folder(cat=2)
    (root / name).mkdir()
    with pytest.raises(DataError, match="cannot be a class") as refusal:
        read_images(root)
    assert "\n" not in str(refusal.value)
    assert "\x1b" not in str(refusal.value)


@pytest.mark.parametrize(
    "name", ["a...", "%2e%2e", "CON", "a b", "-x", "=1+1", "猫", "COM1.", "a\\b"]
)
def test_odd_but_printable_class_names_are_kept_as_they_are(folder, name):
    assert read_images(folder(**{name: 2, "cat": 2})).data.counts == {name: 2, "cat": 2}


def test_hidden_files_and_folders_are_ignored(folder):
    root = folder(cat=2, dog=2)
    (root / ".thumbs").mkdir()
    (root / "cat" / ".hidden.png").write_bytes(b"no image")
    (root / "cat" / ".cache").mkdir()
    (root / "cat" / ".cache" / "x.png").write_bytes(b"no image")
    (root / "cat" / ".linked").symlink_to(root / "dog")
    read = read_images(root)
    assert read.data.counts == {"cat": 2, "dog": 2}
    assert read.scan.rejected == {}
