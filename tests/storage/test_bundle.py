"""A bundle comes back as it was saved, or is refused in one line; loading runs no code."""

import contextlib
import hashlib
import json
import pickle
import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from gan_augment.errors import ModelFileError
from gan_augment.storage import (
    bundle_bytes,
    load_bundle,
    load_meta,
    read_bundle_bytes,
    save_bundle,
)
from gan_augment.storage.bundle import MANIFEST, TENSORS

ARRAYS = {
    "weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "half": np.ones((2, 1, 0), np.float16),
    "step": np.array(7, np.int64),
    "mask": np.array([True, False]),
}
FILES = (TENSORS, "model.json", MANIFEST)


class Meta(BaseModel):
    kind: str
    steps: int


@pytest.fixture
def bundle(tmp_path):
    save_bundle(tmp_path / "model", ARRAYS, {"kind": "image", "steps": 3})
    return tmp_path / "model"


def resign(folder):
    """Make the manifest true again after a file was changed, as a hostile author would."""
    manifest = json.loads((folder / MANIFEST).read_bytes())
    for name, entry in manifest["files"].items():
        content = (folder / name).read_bytes()
        entry.update(bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
    (folder / MANIFEST).write_text(json.dumps(manifest))


def refused(folder) -> str:
    with pytest.raises(ModelFileError) as caught:
        load_bundle(folder, schema=Meta)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_arrays_and_description_come_back_bit_for_bit_from_disk_and_memory(bundle):
    files = bundle_bytes(ARRAYS, {"kind": "image", "steps": 3})
    assert files == {path.name: path.read_bytes() for path in bundle.iterdir()}
    for arrays, meta in (load_bundle(bundle, schema=Meta), read_bundle_bytes(files, schema=Meta)):
        assert meta == Meta(kind="image", steps=3)
        assert set(arrays) == set(ARRAYS)
        for name, array in ARRAYS.items():
            assert (arrays[name].dtype, arrays[name].shape) == (array.dtype, array.shape)
            assert arrays[name].tobytes() == array.tobytes()
            assert arrays[name].flags.writeable


def test_the_same_content_gives_the_same_bytes(tmp_path, bundle):
    save_bundle(tmp_path / "again", dict(reversed(ARRAYS.items())), {"kind": "image", "steps": 3})
    for name in FILES:
        assert (bundle / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_views_in_any_memory_order_and_infinite_scores_are_saved_by_value(tmp_path):
    array = np.arange(12.0).reshape(3, 4).T[::2]
    save_bundle(tmp_path / "b", {"view": array}, {"best": float("inf")})
    np.testing.assert_array_equal(load_bundle(tmp_path / "b", schema=dict)[0]["view"], array)
    assert load_meta(tmp_path / "b", schema=dict)["best"] == float("inf")


def test_arrays_of_objects_are_not_saved(tmp_path):
    with pytest.raises(TypeError, match="'x' is object"):
        save_bundle(tmp_path / "b", {"x": np.array([object()])}, {})
    assert not (tmp_path / "b").exists()


def test_a_flipped_bit_in_any_byte_of_the_small_files_is_noticed(bundle):
    for name in ("model.json", MANIFEST):
        good = (bundle / name).read_bytes()
        for place in range(len(good)):
            bad = bytearray(good)
            bad[place] ^= 1 << place % 8
            (bundle / name).write_bytes(bad)
            refused(bundle)
        (bundle / name).write_bytes(good)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(FILES), at=st.floats(0, 1), change=st.integers(0, 255), cut=st.booleans()
)
def test_mutated_files_are_refused_in_one_line(tmp_path_factory, name, at, change, cut):
    folder = tmp_path_factory.mktemp("b") / "model"
    save_bundle(folder, ARRAYS, {"kind": "image", "steps": 3})
    good = (folder / name).read_bytes()
    place = round(at * (len(good) - 1))
    bad = good[:place] if cut else good[:place] + bytes([good[place] ^ change]) + good[place + 1 :]
    (folder / name).write_bytes(bad)
    if bad != good:
        refused(folder)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(places=st.lists(st.tuples(st.floats(0, 1), st.integers(1, 255)), min_size=1, max_size=4))
def test_a_forged_bundle_loads_or_is_refused_and_allocates_little(tmp_path_factory, places):
    folder = tmp_path_factory.mktemp("b") / "model"
    save_bundle(folder, ARRAYS, {"kind": "image", "steps": 3})
    content = bytearray((folder / TENSORS).read_bytes())
    for at, change in places:
        content[round(at * (len(content) - 1))] ^= change
    (folder / TENSORS).write_bytes(content)
    resign(folder)
    tracemalloc.start()
    with contextlib.suppress(ModelFileError):
        load_bundle(folder, schema=Meta)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def forged_tensors(header: dict, body: bytes = b"\0" * 8) -> bytes:
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


HUGE = {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}
SHORT = {"dtype": "F32", "shape": [4], "data_offsets": [0, 8]}
WHOLE = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff" * 8,
        (1 << 62).to_bytes(8, "little") + b"{}",
        forged_tensors({"a": HUGE}),
        forged_tensors({"a": SHORT}),
        forged_tensors({"a": WHOLE, "b": WHOLE}),
        forged_tensors({"a": {**WHOLE, "shape": [-2]}}),
        forged_tensors({"a": {**WHOLE, "dtype": "BF16", "shape": [4]}}),
        forged_tensors({}, b"extra"),
        pickle.dumps({"a": 1}),
    ],
)
def test_hostile_tensor_files_are_refused(bundle, content):
    (bundle / TENSORS).write_bytes(content)
    resign(bundle)
    refused(bundle)


@pytest.mark.parametrize("name", ["../model.json", "/etc/passwd", "extra.bin"])
def test_a_manifest_that_lists_other_files_is_refused(bundle, name):
    manifest = json.loads((bundle / MANIFEST).read_bytes())
    manifest["files"][name] = {"bytes": 1, "sha256": "0" * 64}
    (bundle / MANIFEST).write_text(json.dumps(manifest))
    assert "it lists" in refused(bundle)


@pytest.mark.parametrize(
    "content", [b"[1]", b"[" * 100_000, b"{}", b'{"kind": "image", "steps": "x"}', b"\xff\xfe"]
)
def test_a_description_of_another_form_is_refused(bundle, content):
    (bundle / "model.json").write_bytes(content)
    resign(bundle)
    refused(bundle)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named_and_a_device_in_its_place_refused(bundle, name):
    (bundle / name).unlink()
    assert name in refused(bundle)
    (bundle / name).symlink_to("/dev/zero")
    assert "not a regular file" in refused(bundle)


@pytest.mark.parametrize("name", FILES)
def test_a_bundle_in_memory_is_refused_where_a_file_is_missing_or_changed(name):
    files = bundle_bytes(ARRAYS, {"kind": "image", "steps": 3})
    for damaged in (b"", files[name][:-1], files[name][:-1] + b"\xff", files[name] * 2, None):
        with pytest.raises(ModelFileError, match="damaged or from another program"):
            read_bundle_bytes({**files, name: damaged}, schema=Meta)
    with pytest.raises(ModelFileError, match="is missing"):
        read_bundle_bytes({other: files[other] for other in FILES if other != name}, schema=Meta)
