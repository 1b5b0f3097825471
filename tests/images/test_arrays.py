"""Arrays and .npz files in; the model's size and the scale of pixels in networks."""

from __future__ import annotations

import io
import pickle
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gan_augment.data.arrays import from_arrays, to_uint8
from gan_augment.data.images.reader import read_images
from gan_augment.data.images.resize import checked_size, model_size, resize_image
from gan_augment.data.labels import encode_labels, in_order
from gan_augment.errors import DataError, UnknownClassError, UsageError
from gan_augment.networks.geometry import to_network, to_pixels

X = np.random.default_rng(0).integers(0, 256, (6, 9, 8, 3), dtype=np.uint8)
Y = ["cat", "dog", "cat", "cat", "dog", "dog"]


def test_uint8_arrays_are_taken_as_they_are_without_a_copy():
    data = from_arrays(X, Y)
    assert np.shares_memory(data.pixels, X)
    assert data.image_shape == (9, 8, 3)
    assert data.names == ("cat", "dog")
    assert from_arrays(X[..., 0], Y).pixels.shape == (6, 9, 8, 1)  # grey without channels


UNIT = np.full((1, 8, 8), 0.5)
UNIT[0, 0, :3] = [0, 1, 0.998]


@pytest.mark.parametrize(
    ("x", "levels", "note"),
    [
        (UNIT, [0, 255, 254, 128], "float64 pixels from 0 to 1: read as 0..1"),
        (UNIT * 200 + 54.6, [55, 255, 254, 155], "read as 0..255"),
        (np.full((1, 8, 8), 77), [77] * 4, "read as 0..255"),
        (np.full((1, 8, 8), True), [255] * 4, "True becomes 255"),
    ],
)
def test_one_rule_reads_every_kind_of_pixel_and_says_so(x, levels, note):
    pixels, told = to_uint8(x)
    assert pixels[0, 0, :4, 0].tolist() == levels
    assert note in told


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (X / 127.5 - 1, r"\(x \+ 1\) / 2"),
        (X.astype(np.uint16) * 257, "65535"),
        (np.full((2, 8, 8), np.nan), "NaN"),
        (np.full((2, 8, 8), np.inf), "NaN and infinite"),
        (X.transpose(0, 3, 1, 2), r"transpose\(0, 2, 3, 1\)"),
        (X[0, 0], "expected"),
        (X[:0], "at least one image"),
        (np.array([X[0], X[0, :5]], dtype=object), "one size"),
        (np.full((2, 8, 8), "a"), "expected uint8"),
        (X.astype(complex), "expected uint8"),
        (X[:, :7], "8 px"),
    ],
)
def test_other_pixels_are_refused_with_the_cure(x, words):
    with pytest.raises(DataError, match=words):
        from_arrays(x, ["a"] * len(x))


@pytest.mark.parametrize(
    ("y", "names"),
    [
        (["b", "a", "b"], ("a", "b")),
        ([10, 9, 10], ("9", "10")),
        ([True, False, True], ("False", "True")),
        ([1.0, 0.0, 1.0], ("0", "1")),
        ([0.5, 1.0, 0.5], ("0.5", "1.0")),
        (np.array(["x", "y", "x"], dtype=object), ("x", "y")),
        (np.array([-1, 1, -1]), ("-1", "1")),
        (["10", "9", "10"], ("9", "10")),
        ([2**63, 1, 2**63], ("1", str(2**63))),
    ],
)
def test_labels_of_every_kind_are_named_as_the_user_writes_them(y, names):
    labels, given_names = encode_labels(y)
    assert given_names == names
    assert labels[0] == labels[2] != labels[1]


@pytest.mark.parametrize(
    ("y", "words"),
    [
        ([0.0, np.nan], "row 1 is nan"),
        (["a", None], "row 1 is None"),
        (np.array(["a", np.nan], dtype=object), "row 1 is nan"),
        ([b"a", b"b"], "astype"),
        ([[1, 0], [0, 1]], "argmax"),
        ([[1], [0]], "ravel"),
        (["a", ""], "empty"),
        (["a", "b\x1b"], "control characters"),
        (np.array(["1", 1], dtype=object), "several types"),
        ([1 + 2j, 1], "expected strings"),
        (np.array(["2020-01-01"], dtype="M8"), "expected strings"),
    ],
)
def test_labels_that_are_missing_or_ambiguous_are_refused(y, words):
    with pytest.raises(DataError, match=words):
        encode_labels(y)


def test_labels_outside_class_names_are_refused():
    with pytest.raises(DataError, match="from 0 to 1"):
        encode_labels([0, 2], ["a", "b"])
    with pytest.raises(UnknownClassError, match="Did you mean 'dog'"):
        encode_labels(["cat", "dgo"], ["cat", "dog"])


@pytest.mark.parametrize(
    ("groups", "equal", "expected"),
    [
        (None, (4, 1), [-1, 0, -1, -1, 0, -1]),
        (["p", "p", "q", "", "", "q"], (5, 0), [0, 0, 0, -1, -1, 0]),
        ([1.0, 1.0, np.nan, np.nan, -1.0, 0.0], (0, 0), [0, 0, -1, -1, -1, 1]),
    ],
)
def test_rows_with_the_same_pixels_share_a_group_and_join_groups(groups, equal, expected):
    x = X.copy()
    x[equal[0]] = x[equal[1]]
    assert from_arrays(x, Y, groups=groups).groups.tolist() == expected
    assert from_arrays(X, Y).groups is None


@given(hnp.arrays(np.uint8, (2, 8, 8, 1)))
def test_pixels_survive_the_way_through_floats(x):
    as_unit, _ = to_uint8(x / np.float32(255))
    assert np.array_equal(as_unit, x)
    if x.max() > 1:
        assert np.array_equal(to_uint8(x.astype(np.float64))[0], x)


@given(st.lists(st.integers(0, 10**6).map(str), unique=True))
def test_whole_numbers_are_sorted_as_numbers(names):
    assert list(in_order(names)) == sorted(names, key=int)


CODES = np.array([0, 1, 0, 1, 0, 1])


@pytest.mark.parametrize("keys", [("x", "y"), ("images", "labels"), ("x", "labels")])
def test_both_names_of_pixels_and_labels_are_read(tmp_path, keys):
    np.savez(tmp_path / "d.npz", **{keys[0]: X, keys[1]: CODES})
    read = read_images(tmp_path / "d.npz", image_size=(9, 8))
    assert np.array_equal(read.data.pixels, X)
    assert read.data.counts == {"0": 3, "1": 3}
    assert read.data.ids[5] == "row-000005"
    assert read.scan.counts == {"0": 3, "1": 3}


def test_class_names_groups_and_ids_are_read_where_there(tmp_path):
    more = {"class_names": np.array(["cat", "dog"]), "groups": np.array(list("aabbcc"))}
    np.savez_compressed(tmp_path / "d.npz", x=X, y=CODES, ids=np.array(list("uvwxyz")), **more)
    data = read_images(tmp_path / "d.npz").data
    assert data.names == ("cat", "dog")
    assert data.ids.tolist() == list("uvwxyz")
    assert data.groups is not None
    assert data.groups.tolist() == [0, 0, 1, 1, 2, 2]


class _Bomb:
    def __reduce__(self):
        raise AssertionError("pickled")


def _member(name: str, raw: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, raw)
        good = io.BytesIO()
        np.save(good, CODES)
        archive.writestr("y.npy", good.getvalue())
    return file.getvalue()


def _header(shape: str, dtype: str = "|u1") -> bytes:
    words = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(words).to_bytes(2, "little") + words


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "not an intact"),
        (b"PK\x03\x04 cut", "not an intact"),
        (pickle.dumps([1, 2]), "not an intact"),
        (_member("x.npy", b"no array"), "a member is not an array"),
        (_member("x.npy", _header("(6, 12, 12)") + bytes(10)), "10 of 864|got 10"),
        (_member("x.npy", _header("(200000, 2000000)")), "not an intact|memory"),
        (_member("x.npy", _header("(6, 12, 12)", "|O") + pickle.dumps(0)), "Python objects"),
        (_member("x.npy", _header("(-6, 12)")), "not an intact"),
        (_member("x.npy", _header("__import__('os')")), "not an intact"),
        (_member("z.npy", b""), "exactly one of x and images"),
    ],
)
def test_damaged_and_foreign_files_are_one_clear_error(tmp_path, raw, words):
    (tmp_path / "d.npz").write_bytes(raw)
    with pytest.raises(DataError, match=words) as refusal:
        read_images(tmp_path / "d.npz")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("originals", "size"),
    [
        ([(28, 28)], (28, 28)),
        ([(8, 8)], (8, 8)),
        ([(32, 32)], (32, 32)),
        ([(50, 50)], (48, 48)),
        ([(33, 33)], (32, 32)),
        ([(480, 640)], (48, 64)),
        ([(640, 480)], (64, 48)),
        ([(5, 5)], (8, 8)),
        ([(4, 100)], (8, 64)),
        ([(28, 28)] * 5 + [(3000, 10)] * 2, (28, 28)),
    ],
)
def test_the_model_size_is_the_median_in_steps_of_four(originals, size):
    assert model_size(originals) == size


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("shape", [(8, 8), (40, 9), (5, 5)])
def test_a_resized_image_has_the_size_and_a_flat_one_stays_flat(channels, shape):
    flat = np.full((*shape, channels), 77, dtype=np.uint8)
    resized = resize_image(flat, (16, 12))
    assert resized.shape == (16, 12, channels)
    assert (resized == 77).all()
    assert resize_image(resized, (16, 12)) is resized


def test_hidden_colours_do_not_bleed_through_transparency():
    image = np.zeros((16, 16, 4), dtype=np.uint8)
    image[:, :8] = (200, 0, 0, 255)
    image[:, 8:] = (0, 255, 0, 0)  # green, and not to be seen
    small = resize_image(image, (8, 8), alpha=True)
    assert small[..., 1].max() == 0


def test_a_size_below_8_px_is_refused():
    with pytest.raises(UsageError, match="8 to 1024"):
        checked_size((4, 64))


@pytest.mark.parametrize(("size", "padded"), [((16, 16), (16, 16)), ((13, 18), (16, 20))])
def test_every_grey_value_survives_the_round_trip(size, padded):
    values = np.arange(size[0] * size[1] * 2, dtype=np.int64) % 256
    pixels = values.astype(np.uint8).reshape(2, *size, 1)
    x = to_network(pixels, padded)
    assert tuple(x.shape) == (2, 1, *padded)
    assert np.array_equal(to_pixels(x, size), pixels)


def test_values_are_rounded_and_clipped_never_wrapped():
    x = torch.tensor([-3.0, 3.0, 0.6 / 127.5 - 1, 0.4 / 127.5 - 1]).view(1, 1, 2, 2)
    assert to_pixels(x, (2, 2)).flatten().tolist() == [0, 255, 1, 0]


def test_the_scale_is_minus_1_to_1_and_the_callers_array_is_not_changed():
    pixels = np.array([0, 255], dtype=np.uint8).reshape(2, 1, 1, 1)
    x = to_network(pixels, (1, 1))
    assert x.flatten().tolist() == [-1, 1]
    x.zero_()
    assert pixels.flatten().tolist() == [0, 255]
