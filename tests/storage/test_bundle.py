"""A bundle is read as it was saved, or refused; loading runs no code."""

import contextlib
import json
import pickle
import tracemalloc

import numpy as np
import pytest
from pydantic import BaseModel

from gan_augment.errors import ModelFileError
from gan_augment.storage.bundle import (
    KEY,
    bundle_bytes,
    bundle_sha256,
    load_bundle,
    load_meta,
    read_bundle_bytes,
    save_bundle,
)

ARRAYS = {
    "weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "half": np.ones((2, 1, 0), np.float16),
    "step": np.array(7, np.int64),
    "mask": np.array([True, False]),
}
META = {"kind": "image", "steps": 3}
CONTENT = bundle_bytes(ARRAYS, META)


class Meta(BaseModel):
    kind: str
    steps: int


def refused(content: bytes) -> str:
    """The message of the refusal, which is one line."""
    with pytest.raises(ModelFileError) as caught:
        read_bundle_bytes(content, schema=Meta)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def forged(header: dict, body: bytes = b"\0" * 8) -> bytes:
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


def described(text: str) -> bytes:
    """A file without arrays whose header holds this description."""
    return forged({"__metadata__": {KEY: text}}, b"")


def test_arrays_and_description_are_read_as_they_were_saved(tmp_path):
    path = tmp_path / "new" / "model.safetensors"
    save_bundle(path, ARRAYS, Meta(**META))
    arrays, meta = load_bundle(path, schema=Meta)
    assert (meta, load_meta(path, schema=dict)) == (Meta(**META), META)
    assert arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(arrays[name], array)
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_the_same_content_has_the_same_bytes_in_any_order(tmp_path):
    assert bundle_bytes(dict(reversed(ARRAYS.items())), META) == CONTENT
    (tmp_path / "a").write_bytes(CONTENT)
    before = bundle_sha256(tmp_path / "a")
    save_bundle(tmp_path / "a", ARRAYS, {**META, "steps": 4})
    assert bundle_sha256(tmp_path / "a") != before


def test_views_and_odd_floats_are_kept():
    array = np.arange(12.0).reshape(3, 4).T[::2]
    content = bundle_bytes({"view": array}, {"best": float("inf"), "by label": {3: 1.5}})
    arrays, meta = read_bundle_bytes(content, schema=dict)
    np.testing.assert_array_equal(arrays["view"], array)
    assert meta == {"best": float("inf"), "by label": {"3": 1.5}}


@pytest.mark.parametrize("change", [1, 0x81, 0xFF])
def test_a_change_of_any_byte_is_noticed_and_allocates_little(change):
    tracemalloc.start()
    for place in range(len(CONTENT)):
        bad = bytearray(CONTENT)
        bad[place] ^= change
        with contextlib.suppress(ModelFileError):
            arrays, meta = read_bundle_bytes(bytes(bad), schema=Meta)
            assert meta == Meta(**META)  # a byte that means nothing, such as a space
            assert all(np.array_equal(arrays[name], ARRAYS[name]) for name in ARRAYS)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


WHOLE = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff" * 8,
        CONTENT[:-1],
        CONTENT + b"\0",
        (1 << 62).to_bytes(8, "little") + b"{}",
        forged({"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}),
        forged({"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 8]}}),
        forged({"a": WHOLE, "b": WHOLE}),
        forged({"a": {**WHOLE, "shape": [-2]}}),
        forged({"a": {**WHOLE, "dtype": "BF16", "shape": [4]}}),
        forged({}, b"extra"),
        forged({"a": WHOLE}),
        described("[1]"),
        described("[" * 100_000),
        described("{}"),
        described(json.dumps({"meta": META, "sha256": "0" * 64})),
        pickle.dumps({"a": 1}),
    ],
)
def test_hostile_files_are_refused(content):
    refused(content)


def test_a_description_of_another_form_names_the_field():
    assert "'steps'" in refused(bundle_bytes({}, {"kind": "image", "steps": "x"}))


def test_a_missing_file_is_named_and_a_device_is_not_read(tmp_path):
    for read in (load_bundle, load_meta):
        with pytest.raises(ModelFileError, match=r"model\.safetensors' is missing"):
            read(tmp_path / "model.safetensors", schema=dict)
    (tmp_path / "zero").symlink_to("/dev/zero")
    with pytest.raises(ModelFileError, match="not a regular file"):
        load_bundle(tmp_path / "zero", schema=dict)
