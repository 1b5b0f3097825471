"""Bundles: named arrays and their description as a folder of safetensors, JSON and checksums.

Or as the same files in memory, for what travels between processes. Loading verifies before it
trusts and never runs code. What the arrays mean is not known here.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError

from gan_augment.errors import ModelFileError
from gan_augment.input_files import memory_problem, parsed_json, regular_file
from gan_augment.storage.files import new_folder, write_file

Tensors = dict[str, NDArray[Any]]
Meta = TypeVar("Meta")

TENSORS = "tensors.safetensors"
MANIFEST = "manifest.json"
LARGEST_TENSORS_BYTES = 4 << 30
LARGEST_HEADER_BYTES = 4 << 20
LARGEST_JSON_BYTES = 16 << 20
COPIES = 3
"""Of the bytes of a file that are in memory at once while it is read."""
_KINDS = {"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"}


class FileEntry(BaseModel):
    """Holds what the manifest says of a file: its bytes and its sha256 in lower-case hex."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    bytes: int = Field(ge=0, le=LARGEST_TENSORS_BYTES)
    sha256: str


class Manifest(BaseModel):
    """Lists a bundle's files, with what is needed to verify them."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: Literal["gan-augment bundle"]
    version: Literal[1]
    files: dict[str, FileEntry]


def save_bundle(
    folder: Path,
    tensors: Mapping[str, NDArray[Any]],
    meta: BaseModel | Mapping[str, Any],
    name: str = "model",
) -> None:
    """Write `tensors.safetensors`, `<name>.json` and `manifest.json` as one folder, whole or not.

    tensors: arrays of bool, integers or floats of any shape. meta: a model, or JSON-ready values.
    Replaces a bundle that is there. Raises WriteFailedError where the disk refuses.
    """
    contents = bundle_bytes(tensors, meta, name)
    with new_folder(Path(folder), replace=True) as temporary:
        for file, content in contents.items():
            write_file(temporary / file, content, sync=False)  # new_folder syncs them all


def bundle_bytes(
    tensors: Mapping[str, NDArray[Any]],
    meta: BaseModel | Mapping[str, Any],
    name: str = "model",
) -> dict[str, bytes]:
    """Make the files that `save_bundle` writes, {file name: content}.

    >>> files = bundle_bytes({"x": np.zeros(2)}, {"kind": "zeros"})
    >>> sorted(files), read_bundle_bytes(files, schema=dict)[1]
    (['manifest.json', 'model.json', 'tensors.safetensors'], {'kind': 'zeros'})
    """
    plain = meta.model_dump(mode="json") if isinstance(meta, BaseModel) else dict(meta)
    contents = {
        TENSORS: tensors_bytes(tensors),
        f"{name}.json": json.dumps(plain, indent=1, ensure_ascii=True).encode(),
    }
    files = {file: _entry(content) for file, content in contents.items()}
    manifest = Manifest(format="gan-augment bundle", version=1, files=files)
    return contents | {MANIFEST: manifest.model_dump_json().encode()}


def load_bundle(folder: Path, name: str = "model", *, schema: type[Meta]) -> tuple[Tensors, Meta]:
    """Read a bundle: (arrays by name, description as `schema`, a model or dict).

    Sizes are compared with the manifest before reading, checksums before parsing.
    Raises ModelFileError, one line, on anything missing, damaged or foreign.
    """
    return _load(Path(folder), name, schema, _read_file)


def read_bundle_bytes(
    files: Mapping[str, bytes], name: str = "model", *, schema: type[Meta]
) -> tuple[Tensors, Meta]:
    """Read the files of `bundle_bytes` as `load_bundle` does, verified in the same way."""

    def read(path: Path, least: int, most: int) -> bytes:
        content = files.get(path.name)
        if not isinstance(content, bytes):
            raise _damaged(path, "it is missing")
        _check_size(path, len(content), least, most)
        return content

    return _load(Path("(in memory)"), name, schema, read)


def load_meta(folder: Path, name: str = "model", *, schema: type[Meta]) -> Meta:
    """Read and verify only the description of a bundle; its arrays are neither read nor checked."""
    return _read_meta(Path(folder), name, schema, _read_file)[1]


def read_tensors(path: Path) -> Tensors:
    """Read a safetensors file of somebody else's. Raises ModelFileError, one line."""
    return _arrays(path, _read_file(path, 0, LARGEST_TENSORS_BYTES))


def tensors_bytes(tensors: Mapping[str, NDArray[Any]]) -> bytes:
    """Make the bytes of a safetensors file.

    >>> len(tensors_bytes({"x": np.zeros(2)})) % 8
    0
    """
    return safetensors.numpy.save({key: _plain(key, a) for key, a in tensors.items()})


def bundle_sha256(folder: Path) -> str:
    """Return a bundle's identity: the sha256 of its manifest, which holds those of its files."""
    content = _read_file(Path(folder) / MANIFEST, 0, LARGEST_JSON_BYTES)
    return hashlib.sha256(content).hexdigest()


def read_json(path: Path, *, schema: type[Meta]) -> Meta:
    """Read a JSON object as `schema`, a model or dict. Raises ModelFileError, one line."""
    return _parsed(path, _read_file(path, 0, LARGEST_JSON_BYTES), schema)


_Read = Callable[[Path, int, int], bytes]
"""Reads a file of a least and most number of bytes; or raises ModelFileError."""


def _load(folder: Path, name: str, schema: type[Meta], read: _Read) -> tuple[Tensors, Meta]:
    manifest, meta = _read_meta(folder, name, schema, read)
    path = folder / TENSORS
    content = _read_verified(path, manifest, LARGEST_TENSORS_BYTES, read)
    return _arrays(path, content), meta


def _arrays(path: Path, content: bytes) -> Tensors:
    """The arrays of a safetensors file, by their names in order."""
    header = int.from_bytes(content[:8], "little")
    if len(content) < 8 or header > min(LARGEST_HEADER_BYTES, len(content) - 8):
        raise _damaged(path, f"its header claims {header} bytes")
    try:
        arrays = safetensors.numpy.load(content)
    except (SafetensorError, KeyError, ValueError, TypeError, OverflowError) as error:
        raise _damaged(path, f"no valid safetensors file ({error})") from None
    return {key: arrays[key].copy() for key in sorted(arrays)}


def _read_meta(folder: Path, name: str, schema: type[Meta], read: _Read) -> tuple[Manifest, Meta]:
    path, described = folder / MANIFEST, folder / f"{name}.json"
    manifest = _parsed(path, read(path, 0, LARGEST_JSON_BYTES), Manifest)
    expected = {TENSORS, described.name}
    if set(manifest.files) != expected:
        raise _damaged(path, f"it lists {sorted(manifest.files)}, expected {sorted(expected)}")
    content = _read_verified(described, manifest, LARGEST_JSON_BYTES, read)
    return manifest, _parsed(described, content, schema)


def _read_verified(path: Path, manifest: Manifest, most: int, read: _Read) -> bytes:
    entry = manifest.files[path.name]
    content = read(path, entry.bytes, min(entry.bytes, most))
    if hashlib.sha256(content).hexdigest() != entry.sha256:
        raise _damaged(path, "its checksum is not the one in the manifest")
    return content


def _read_file(path: Path, least: int, most: int) -> bytes:
    """Read a regular file whose size, in bytes, is allowed."""
    try:
        with regular_file(path) as file:
            size = os.fstat(file.fileno()).st_size
            _check_size(path, size, least, most)
            return file.read(size)
    except FileNotFoundError:
        raise ModelFileError(
            f"{str(path)!r} is missing; expected a folder with {MANIFEST}, as `fit` writes it."
        ) from None
    except OSError as error:
        raise _damaged(path, error.strerror or str(error)) from None


def _check_size(path: Path, size: int, least: int, most: int) -> None:
    if not least <= size <= most:
        allowed = f"{most}" if least else f"at most {most}"
        raise _damaged(path, f"it holds {size} bytes, expected {allowed}")
    if problem := memory_problem(COPIES * size):
        raise ModelFileError(f"{str(path)!r} holds {size} bytes, which take {problem}.")


def _parsed(path: Path, content: bytes, schema: type[Meta]) -> Meta:
    """JSON as a model of pydantic, or as the dict that it holds."""
    try:
        values = parsed_json(content)
        if issubclass(schema, BaseModel):
            return schema.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise _damaged(path, f"{where!r}: {first['msg']}") from None
    except ValueError as error:
        raise _damaged(path, f"no valid JSON ({type(error).__name__})") from None
    if not isinstance(values, dict):
        raise _damaged(path, "expected a JSON object")
    return cast("Meta", values)


def _plain(key: str, array: NDArray[Any]) -> NDArray[Any]:
    values = np.asarray(array, order="C")
    if values.dtype.str[1:] not in _KINDS:
        raise TypeError(
            f"array {key!r} is {values.dtype}; a bundle holds bool, integers and floats"
        )
    return values


def _entry(content: bytes) -> FileEntry:
    return FileEntry(bytes=len(content), sha256=hashlib.sha256(content).hexdigest())


def _damaged(path: Path, why: str) -> ModelFileError:
    reason = " ".join(why.split())[:300]
    return ModelFileError(
        f"{str(path)!r} cannot be used: {reason}. It is damaged or from another program: "
        "use another checkpoint or model, or fit again."
    )
