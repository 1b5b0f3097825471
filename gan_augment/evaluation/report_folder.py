"""The folder of an evaluation: whether it may be used, and what stays in it. Nothing is fitted."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from gan_augment.errors import OutputExistsError
from gan_augment.evaluation.found import REPORT, RESULT, TIMINGS
from gan_augment.evaluation.generators import MODELS
from gan_augment.evaluation.setup import OUTER
from gan_augment.storage import FolderLock, write_errors
from gan_augment.storage.lock import LOCK_FILE

JOURNAL = "journal.jsonl"
_OWN = (JOURNAL, RESULT, TIMINGS, REPORT, MODELS)


@contextlib.contextmanager
def held_folder(out: str | Path | None, resume: bool, overwrite: bool) -> Iterator[Path]:
    """The folder to work in, held for this process; a temporary one without `out`."""
    if out is None:
        with tempfile.TemporaryDirectory(prefix="gan-augment-") as temporary:
            yield Path(temporary)
        return
    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        raise OutputExistsError(f"{str(folder)!r} is a file; expected the path of a folder.")
    new = not folder.exists()
    try:
        with write_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        with FolderLock(folder):
            _make_room(folder, resume, overwrite)
            yield folder
    finally:
        if new:  # and nothing came of it
            with contextlib.suppress(OSError):
                folder.rmdir()


def _make_room(folder: Path, resume: bool, overwrite: bool) -> None:
    """Remove an evaluation that is to be replaced. Raises OutputExistsError for all else."""
    held = sorted(path.name for path in folder.iterdir() if path.name != LOCK_FILE)
    if not held or resume:
        return
    if not overwrite or not {JOURNAL, RESULT} & set(held):
        raise OutputExistsError(
            f"{str(folder)!r} holds something already ({held[0]!r}); name another folder, "
            "--resume the evaluation that is there, or --overwrite it."
        )
    with write_errors(folder):
        for name in _OWN:
            _remove(folder / name)


def drop_models(folder: Path) -> None:
    """Of a finished evaluation the generators of the first repeat's training parts are kept."""
    models = folder / MODELS
    if models.is_dir():
        for model in models.iterdir():
            if not (model.name.startswith("r0-") and model.name.endswith(f"gan-{OUTER}")):
                _remove(model)


def _remove(path: Path) -> None:
    with write_errors(path):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
