"""Bundles: named arrays and their description in one `.safetensors` file.

The description is JSON in the file's header. Loading verifies a checksum of both, and never runs
code. The meaning of the arrays is not known here.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from pydantic import BaseModel, TypeAdapter, ValidationError
from safetensors import SafetensorError

from gan_augment.errors import ModelFileError
from gan_augment.input_files import memory_problem, parsed_json, regular_file
from gan_augment.storage.files import write_file

Tensors = dict[str, NDArray[Any]]
Meta = TypeVar("Meta")

KEY = "gan-augment"
"""Names the entry of the header's metadata that holds the checksum and the description."""
LARGEST_TENSORS_BYTES = 4 << 30
LARGEST_HEADER_BYTES = 20 << 20
COPIES = 3
"""Copies of a file's bytes that are in memory at once while it is read."""


def save_bundle(
    path: str | Path, tensors: Mapping[str, NDArray[Any]], meta: BaseModel | Mapping[str, Any]
) -> None:
    """Write arrays and their description as one file, which appears whole or not at all.

    meta: a pydantic model, or values that are ready for JSON. Raises WriteFailedError.
    """
    write_file(Path(path), bundle_bytes(tensors, meta))


def bundle_bytes(tensors: Mapping[str, NDArray[Any]], meta: BaseModel | Mapping[str, Any]) -> bytes:
    """Return the content of the file that `save_bundle` writes.

    >>> content = bundle_bytes({"x": np.zeros(2)}, {"kind": "zeros"})
    >>> read_bundle_bytes(content, schema=dict)[1]
    {'kind': 'zeros'}
    """
    values = meta.model_dump(mode="json") if isinstance(meta, BaseModel) else dict(meta)
    plain = json.loads(json.dumps(values))  # as it is read again
    header = {"sha256": _meta_sha256(plain), "arrays": _arrays_sha256(tensors), "meta": plain}
    arrays = {key: np.asarray(array, order="C") for key, array in tensors.items()}
    return safetensors.numpy.save(arrays, {KEY: json.dumps(header)})


def load_bundle(path: str | Path, *, schema: type[Meta]) -> tuple[Tensors, Meta]:
    """Read a verified bundle: arrays by name, and the description as `schema`."""
    content = _read_file(Path(path), LARGEST_TENSORS_BYTES)
    return read_bundle_bytes(content, schema=schema, path=Path(path))


def read_bundle_bytes(
    content: bytes, *, schema: type[Meta], path: Path = Path("(in memory)")
) -> tuple[Tensors, Meta]:
    """Read and verify the result of `bundle_bytes` as `load_bundle` does."""
    arrays, described = _arrays(path, content), _described(path, content)
    if _arrays_sha256(arrays) != described.get("arrays"):
        raise _damaged(path, "its arrays do not match their checksum")
    return arrays, _parsed(path, described["meta"], schema)


def load_meta(path: str | Path, *, schema: type[Meta]) -> Meta:
    """Read and verify only the description of a bundle, not its arrays."""
    path = Path(path)
    return _parsed(path, _described(path, _read_file(path, LARGEST_HEADER_BYTES))["meta"], schema)


def bundle_sha256(path: str | Path) -> str:
    """Return the sha256 of the file, which identifies a model."""
    try:
        with regular_file(Path(path)) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
    except OSError as error:
        raise _damaged(Path(path), error.strerror or str(error)) from None


def read_tensors(path: Path) -> Tensors:
    """Read any safetensors file. Raises ModelFileError."""
    return _arrays(path, _read_file(path, LARGEST_TENSORS_BYTES))


def _arrays(path: Path, content: bytes) -> Tensors:
    """Return the arrays of a safetensors file, sorted by name."""
    try:
        arrays = safetensors.numpy.load(content)
    except (SafetensorError, KeyError, ValueError, TypeError, OverflowError) as error:
        raise _damaged(path, f"no valid safetensors file ({error})") from None
    return {key: arrays[key].copy() for key in sorted(arrays)}


def _described(path: Path, content: bytes) -> dict[str, Any]:
    """Return the checksum and the description in the header of a file."""
    try:
        header = parsed_json(content[8 : 8 + int.from_bytes(content[:8], "little")])
        described = parsed_json(header["__metadata__"][KEY])
        meta, sha256 = described["meta"], described["sha256"]
    except (ValueError, KeyError, TypeError):
        raise _damaged(path, "its header holds no description by gan-augment") from None
    if not isinstance(meta, dict) or _meta_sha256(meta) != sha256:
        raise _damaged(path, "its description does not match its checksum")
    return cast("dict[str, Any]", described)


def _meta_sha256(meta: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(meta, sort_keys=True).encode()).hexdigest()


def _arrays_sha256(arrays: Mapping[str, NDArray[Any]]) -> str:
    """Return the checksum of names, types, shapes and values, whatever the order."""
    total = hashlib.sha256()
    for name in sorted(arrays):
        array = np.asarray(arrays[name])
        total.update(repr((name, array.dtype.str, array.shape)).encode())
        total.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return total.hexdigest()


def _read_file(path: Path, most: int) -> bytes:
    """Read the first `most` bytes of a regular file that fits the memory."""
    try:
        with regular_file(path, LARGEST_TENSORS_BYTES) as file:
            size = os.fstat(file.fileno()).st_size
            if problem := memory_problem(COPIES * min(size, most)):
                raise ModelFileError(f"{str(path)!r} holds {size} bytes, which take {problem}.")
            return file.read(most)
    except FileNotFoundError:
        raise ModelFileError(
            f"{str(path)!r} is missing; expected a model file, as `fit` writes it."
        ) from None
    except OSError as error:
        raise _damaged(path, error.strerror or str(error)) from None


def _parsed(path: Path, values: dict[str, Any], schema: type[Meta]) -> Meta:
    """Return the description as a pydantic model, or as the dict that it is."""
    try:
        return TypeAdapter(schema).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise _damaged(path, f"{where!r}: {first['msg']}") from None


def _damaged(path: Path, why: str) -> ModelFileError:
    reason = " ".join(why.split())[:300]
    return ModelFileError(
        f"{str(path)!r} cannot be used: {reason}. It is damaged or from another program: "
        "use another model, or fit again with --overwrite."
    )
