"""An .npz file in: named arrays, no pickle ever, and no allocation that its bytes do not cover."""

from __future__ import annotations

import io
import pickle
import zipfile
from contextlib import suppress

import numpy as np
import pytest

from gan_augment.data.arrays import from_npz
from gan_augment.data.images.reader import read_images
from gan_augment.errors import DataError

X = np.random.default_rng(0).integers(0, 256, (6, 12, 12, 3), dtype=np.uint8)
Y = np.array([0, 1, 0, 1, 0, 1])


@pytest.mark.parametrize("keys", [("x", "y"), ("images", "labels"), ("x", "labels")])
def test_both_names_of_pixels_and_labels_are_read(tmp_path, keys):
    np.savez(tmp_path / "d.npz", **{keys[0]: X, keys[1]: Y})
    read = read_images(tmp_path / "d.npz")
    assert np.array_equal(read.data.pixels, X)
    assert read.data.counts == {"0": 3, "1": 3}
    assert read.data.ids[5] == "row-000005"
    assert read.scan.counts == {"0": 3, "1": 3}


def test_class_names_groups_and_ids_are_read_where_there(tmp_path):
    more = {"class_names": np.array(["cat", "dog"]), "groups": np.array(list("aabbcc"))}
    np.savez_compressed(tmp_path / "d.npz", x=X, y=Y, ids=np.array(list("uvwxyz")), **more)
    data = read_images(tmp_path / "d.npz").data
    assert data.names == ("cat", "dog")
    assert data.ids.tolist() == list("uvwxyz")
    assert data.groups is not None
    assert data.groups.tolist() == [0, 0, 1, 1, 2, 2]


def test_from_npz_keeps_the_size_of_the_images(tmp_path):
    np.savez(tmp_path / "d.npz", x=np.zeros((2, 200, 100), np.uint8), y=[0, 1])
    assert from_npz(tmp_path / "d.npz").image_shape == (200, 100, 1)


def test_how_the_pixels_were_read_is_a_note(tmp_path):
    np.savez(tmp_path / "d.npz", x=X / 255, y=Y)
    assert "read as 0..1" in read_images(tmp_path / "d.npz").notes[0]


def test_large_arrays_are_resized_to_the_model_and_small_ones_enlarged(tmp_path):
    np.savez(tmp_path / "d.npz", x=np.zeros((2, 200, 100), np.uint8), y=[0, 1])
    assert read_images(tmp_path / "d.npz").data.image_shape == (64, 32, 1)
    np.savez(tmp_path / "e.npz", x=np.zeros((2, 5, 5), np.uint8), y=[0, 1])
    assert read_images(tmp_path / "e.npz").data.image_shape == (8, 8, 1)


class _Bomb:
    def __reduce__(self):
        raise AssertionError("pickled")


def _member(name: str, raw: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, raw)
        good = io.BytesIO()
        np.save(good, Y)
        archive.writestr("y.npy", good.getvalue())
    return file.getvalue()


def _header(shape: str, dtype: str = "|u1") -> bytes:
    words = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(words).to_bytes(2, "little") + words


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "no intact"),
        (b"PK\x03\x04 cut", "no intact"),
        (pickle.dumps([1, 2]), "no intact"),
        (_member("x.npy", b"no array"), "a part is no array"),
        (_member("x.npy", _header("(6, 12, 12)") + bytes(10)), "10 of 864|got 10"),
        (_member("x.npy", _header("(200000, 2000000)")), "no intact|memory"),
        (_member("x.npy", _header("(6, 12, 12)", "|O") + pickle.dumps(0)), "Python objects"),
        (_member("x.npy", _header("(-6, 12)")), "no intact"),
        (_member("x.npy", _header("__import__('os')")), "no intact"),
        (_member("z.npy", b""), "exactly one of x and images"),
    ],
)
def test_damaged_and_foreign_files_are_one_clear_error(tmp_path, raw, words):
    (tmp_path / "d.npz").write_bytes(raw)
    with pytest.raises(DataError, match=words) as refusal:
        read_images(tmp_path / "d.npz")
    assert "\n" not in str(refusal.value)


def test_labels_saved_as_python_objects_are_refused_with_the_cure(tmp_path):
    np.savez(tmp_path / "d.npz", x=X, y=np.array(["a", "b"] * 3, dtype=object))
    with pytest.raises(DataError, match=r"y.astype\(str\)"):
        read_images(tmp_path / "d.npz")


def test_every_cut_and_flip_of_a_file_is_read_or_refused(tmp_path):
    np.savez(tmp_path / "d.npz", x=X, y=Y)
    raw = (tmp_path / "d.npz").read_bytes()
    rng = np.random.default_rng(0)
    for turn in range(150):
        changed = bytearray(raw)
        at = int(rng.integers(len(raw))) if turn % 2 else int(rng.integers(200))
        changed[at] ^= 1 << int(rng.integers(8))
        if turn % 3 == 0:
            del changed[at:]
        (tmp_path / "d.npz").write_bytes(changed)
        with suppress(DataError):
            read_images(tmp_path / "d.npz")
