"""An output folder: who may write into it, what in it is ours, and how a stopped run goes on."""

from __future__ import annotations

import contextlib
import json
import signal
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from gan_augment.data.images.png_folder import MANIFEST, ManifestRow, read_manifest, write_manifest
from gan_augment.errors import DataError, OutputExistsError, ResumeMismatchError, UsageError
from gan_augment.storage import FolderLock, clean_stale, write_errors, write_file
from gan_augment.storage.lock import LOCK_FILE
from gan_augment.training.callbacks import StopRequested
from gan_augment.workflows.output_state import OutputState, changed_since, read_state

STATE = ".gan-augment.json"
PLANNED = ".manifest.csv"
_HIDDEN = {STATE, PLANNED, LOCK_FILE}


class OutputFolder:
    """A folder that this process holds. `resuming`: files of the same command may be there."""

    def __init__(
        self,
        path: Path,
        command: str,
        resuming: bool,
        notes: dict[str, str],
        replacing: bool = False,
    ) -> None:
        self.path = path
        self.command = command
        self.resuming = resuming
        self.notes = notes
        self._replacing = replacing
        self._owned = {row.path: row for row in _listed(path, PLANNED, MANIFEST)}

    def describe(self, made_from: dict[str, Any], **notes: str) -> None:
        """Record what the output is made from, and notes that a resumed run needs.

        The output that is overwritten goes here, when all that the new one needs is known.
        Raises ResumeMismatchError where a stopped run was made from something else.
        """
        if self._replacing:
            _remove_own(self.path, self._owned)
            self._replacing, self._owned = False, {}
        made_from = json.loads(json.dumps(made_from))  # tuples become lists, as they read back
        before = read_state(self.path / STATE) if self.resuming else None
        if before and (changed := changed_since(before, made_from)):
            raise ResumeMismatchError(
                f"{str(self.path)!r} was begun with another {' and another '.join(changed)}; "
                "give the same as then, or --overwrite, or another folder."
            )
        self.notes |= notes
        state = OutputState(command=self.command, made_from=made_from, notes=self.notes)
        write_file(self.path / STATE, state.model_dump_json(indent=1).encode())

    def plan(self, rows: Sequence[ManifestRow]) -> None:
        """Record the files that are going to be written; only these are ever overwritten.

        A later plan adds to it. Raises OutputExistsError where a file is there and is not ours.
        """
        for name in sorted({row.path.split("/")[0] for row in rows}):
            if (self.path / name).is_symlink():
                raise OutputExistsError(f"{str(self.path / name)!r} is a link; remove it first.")
        clean_stale(self.path, {MANIFEST})
        _clean_stale(self.path, {row.path for row in rows})
        for row in rows:
            if row.path not in self._owned and (self.path / row.path).exists():
                raise OutputExistsError(
                    f"{str(self.path / row.path)!r} is there already, and not from this program; "
                    "move it away, or choose another folder. Nothing was written."
                )
        self._owned |= {row.path: row for row in rows}
        write_manifest(self.path / PLANNED, self._owned.values())

    def finish(self, rows: Sequence[ManifestRow]) -> None:
        """Write the manifest: the output is complete. Files of a plan that changed are removed."""
        write_manifest(self.path / MANIFEST, rows)
        with write_errors(self.path):
            for name in self._owned.keys() - {row.path for row in rows}:
                if _is_inside(self.path, name):
                    (self.path / name).unlink(missing_ok=True)
            (self.path / PLANNED).unlink(missing_ok=True)


@contextlib.contextmanager
def output_folder(
    path: Path, command: str, *, resume: bool = False, overwrite: bool = False
) -> Iterator[OutputFolder]:
    """Hold `path` for one command: a new or empty folder, or what `resume` or `overwrite` allow.

    Overwriting removes the files that our manifest lists, and no other, once the output is
    described. A folder that was made here and stays empty is removed. An interruption is raised
    again as StopRequested with the way on.
    Raises OutputExistsError, ResumeMismatchError, FolderInUseError.
    """
    path = Path(path)
    if path.exists() and not path.is_dir():
        raise OutputExistsError(f"{str(path)!r} is a file; expected the path of a folder.")
    new = not path.exists()
    try:
        with FolderLock(path):
            clean_stale(path, {STATE, PLANNED})
            notes: dict[str, str] = {}
            if resume:
                notes = _check_resumable(path, command)
            elif overwrite:
                _check_replaceable(path)
            elif _foreign(path):
                raise OutputExistsError(
                    f"{str(path)!r} is not empty. Choose another folder, or --resume to go on "
                    "where a stopped run was, or --overwrite to replace what is in it."
                )
            yield OutputFolder(path, command, resume, notes, replacing=overwrite and not resume)
    except KeyboardInterrupt as stop:
        number = int(getattr(stop, "signal", signal.SIGINT))
        hint = "what is finished was kept; the same command with --resume goes on"
        raise StopRequested(number, hint) from None
    finally:
        if new:
            with contextlib.suppress(OSError):
                path.rmdir()


def check_apart(source: Path, out: Path) -> None:
    """Refuse an output in the data, and data in the output. Only folders hold data below them."""
    given, target = source.resolve(), out.resolve()
    if given.is_relative_to(target) or (source.is_dir() and target.is_relative_to(given)):
        raise UsageError(
            f"DATA {str(source)!r} and the output {str(out)!r} lie in each other; DATA is never "
            "written into, so name a folder beside it."
        )


def _foreign(path: Path) -> bool:
    return any(entry.name not in _HIDDEN for entry in path.iterdir())


def _check_resumable(path: Path, command: str) -> dict[str, str]:
    state = read_state(path / STATE)
    if state is None and _foreign(path):
        raise ResumeMismatchError(
            f"{str(path)!r} holds files, but was not begun by `{command}`; choose another folder."
        )
    if state is not None and state.command != command:
        raise ResumeMismatchError(
            f"{str(path)!r} was begun by `{state.command}`, not by `{command}`; "
            "choose another folder."
        )
    return dict(state.notes) if state else {}


def _listed(path: Path, *manifests: str) -> list[ManifestRow]:
    return [
        row for name in manifests if (path / name).is_file() for row in read_manifest(path / name)
    ]


def _check_replaceable(path: Path) -> None:
    try:
        rows = _listed(path, PLANNED, MANIFEST)
    except DataError as error:
        raise OutputExistsError(f"{error} Nothing was removed; choose another folder.") from None
    if not rows and _foreign(path):
        raise OutputExistsError(
            f"{str(path)!r} holds files that are not from this program, and --overwrite removes "
            "only its own. Choose another folder, or empty this one."
        )


def _remove_own(path: Path, listed: Collection[str]) -> None:
    """Remove the files that our manifests list, then the folders that this leaves empty."""
    folders = set()
    with write_errors(path):
        for name in listed:
            if _is_inside(path, name):
                (path / name).unlink(missing_ok=True)
                folders.add((path / name).parent)
        for name in (MANIFEST, PLANNED, STATE):
            (path / name).unlink(missing_ok=True)
        _clean_stale(path, listed)
        for folder in folders - {path}:
            with contextlib.suppress(OSError):
                folder.rmdir()


def _clean_stale(path: Path, listed: Collection[str]) -> None:
    """Remove what a killed process left half-written of the listed files."""
    names: dict[Path, set[str]] = {}
    for name in listed:
        if _is_inside(path, name):
            names.setdefault((path / name).parent, set()).add((path / name).name)
    for folder, own in names.items():
        clean_stale(folder, own)


def _is_inside(path: Path, name: str) -> bool:
    """Whether a path of a manifest is a file in a class folder, reached through no link."""
    parts = PurePosixPath(name).parts
    plain = len(parts) == 2 and ".." not in parts and not PurePosixPath(name).is_absolute()
    return plain and "\0" not in name and not (path / parts[0]).is_symlink()
