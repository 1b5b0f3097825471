"""Journals of long work: one JSON line per finished part, appended, synced, read after a kill."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gan_augment.errors import ResumeMismatchError
from gan_augment.input_files import parsed_json, read_regular
from gan_augment.storage.files import write_errors

Line = dict[str, Any]
Key = tuple[Any, ...]

MOST_BYTES = 4 << 30


class Journal:
    """Journal lines in memory and, if `path` is given, in a file.

    The first line is the header, which describes the work. The key of another line is its kind, and
    its repeat, fold and arm.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._lines: dict[Key, Line] = {}
        self.header: Line | None = None

    def read(self) -> None:
        """Read the lines of the file; an incomplete last line is cut off."""
        path = self._path
        if path is None or not path.is_file():
            raise ResumeMismatchError(
                f"there is no journal to resume at {str(path)!r}; leave out --resume to begin"
            )
        whole = 0
        for text in read_regular(path, MOST_BYTES).splitlines(keepends=True):
            line: Any = None
            with contextlib.suppress(ValueError):
                line = parsed_json(text)
            if not (text.endswith(b"\n") and isinstance(line, dict) and "kind" in line):
                break
            whole += len(text)
            self._keep(line)
        if self.header is None:
            raise ResumeMismatchError(
                f"{str(path)!r} does not begin as a journal does; leave --resume out and give "
                "--overwrite to begin again"
            )
        with write_errors(path), path.open("rb+") as file:
            file.truncate(whole)

    def append(self, line: Line) -> None:
        """Append one line, and wait until the disk has it."""
        self._keep(line)
        if self._path is None:
            return
        text = json.dumps(line, allow_nan=False) + "\n"
        with write_errors(self._path), self._path.open("ab") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())

    def _keep(self, line: Line) -> None:
        if line["kind"] == "header":
            self.header = line
        else:
            names = ("repeat", "fold", "arm")
            self._lines[line["kind"], *(line.get(name) for name in names)] = line

    def get(self, key: Key) -> Line | None:
        """Return the line of a key, or None."""
        return self._lines.get(key)

    def lines(self) -> Iterator[Line]:
        """Yield all lines but the header, sorted by key."""
        return (self._lines[key] for key in sorted(self._lines))


def packed_labels(labels: NDArray[np.int64]) -> str:
    """Pack labels (N,) as text: uint32, zlib, base64.

    >>> unpack_labels(packed_labels(np.array([0, 2, 1]))).tolist()
    [0, 2, 1]
    """
    return base64.b64encode(zlib.compress(labels.astype("<u4").tobytes())).decode()


def unpack_labels(text: str) -> NDArray[np.int64]:
    """Return the labels, int64 (N,)."""
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype="<u4").astype(np.int64)
