"""An output that is a table: whether it may be written, and how a stopped call goes on.

The file itself, and its manifest, are written whole or not at all by `data/tables/export.py`.
"""

from __future__ import annotations

import contextlib
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gan_augment.data.tables.export import manifest_path
from gan_augment.errors import OutputExistsError, ResumeMismatchError, UsageError
from gan_augment.storage import clean_stale, write_errors, write_file
from gan_augment.training.callbacks import StopRequested
from gan_augment.workflows.output_state import OutputState, changed_since, read_state


class OutputFile:
    """A table that this process is going to write. notes: what a resumed call needs."""

    def __init__(self, path: Path, command: str, state: OutputState | None) -> None:
        self.path = path
        self.command = command
        self.resuming = state is not None
        self.notes = dict(state.notes) if state else {}
        self._before = state

    def describe(self, made_from: dict[str, Any], **notes: str) -> None:
        """Record what the output is made from, until it is there.

        Raises ResumeMismatchError where a stopped call began with something else.
        """
        made_from = json.loads(json.dumps(made_from))  # tuples become lists, as they read back
        if self._before is not None and (changed := changed_since(self._before, made_from)):
            raise ResumeMismatchError(
                f"{str(self.path)!r} was begun with another {' and another '.join(changed)}; "
                "give the same as then, or --overwrite, or another file."
            )
        self.notes |= notes
        state = OutputState(command=self.command, made_from=made_from, notes=self.notes)
        write_file(state_path(self.path), state.model_dump_json(indent=1).encode())


@contextlib.contextmanager
def output_file(
    path: Path, command: str, *, resume: bool = False, overwrite: bool = False
) -> Iterator[OutputFile]:
    """Allow `path` and its manifest to be written: where neither is there, or with `overwrite`.

    What `describe` records goes when the block ends well, and stays for `resume` where it does not
    and a run was begun.
    An interruption is raised again as StopRequested with the way on.
    Raises OutputExistsError, ResumeMismatchError.
    """
    path = Path(path)
    check_not_there(path, overwrite=overwrite)
    record = state_path(path)
    with write_errors(path):
        clean_stale(path.parent, {path.name, manifest_path(path).name, record.name})
    state = read_state(record) if resume else None
    if state is not None and state.command != command:
        raise ResumeMismatchError(
            f"{str(path)!r} was begun by `{state.command}`, not by `{command}`; "
            "choose another file."
        )
    output = OutputFile(path, command, state)
    try:
        yield output
    except KeyboardInterrupt as stop:
        number = int(getattr(stop, "signal", signal.SIGINT))
        again = "with --resume goes on" if "run" in output.notes else "does it again"
        hint = f"{str(path)!r} was not written; the same command {again}"
        raise StopRequested(number, hint) from None
    else:
        output.notes.clear()
    finally:
        if "run" not in output.notes:  # nothing to go on with
            with write_errors(path):
                record.unlink(missing_ok=True)


def check_not_there(path: Path, *, overwrite: bool) -> None:
    """Raise OutputExistsError where a table or its manifest would replace something."""
    if path.is_dir():
        raise OutputExistsError(
            f"{str(path)!r} is a folder, and a table is written to a file; name one, such as "
            f"{str(path / 'more.csv')!r}."
        )
    for file in (path, manifest_path(path)):
        if file.is_dir() or (file.exists() and not overwrite):
            raise OutputExistsError(
                f"{str(file)!r} is there already. Choose another name, or --overwrite to replace "
                "it; nothing was written."
            )


def check_file_apart(source: Path, out: Path) -> None:
    """Refuse to write a table or its manifest over DATA, by whatever name it is called."""
    for file in (out, manifest_path(out)):
        same = file.exists() and source.exists() and file.samefile(source)
        if same or file.resolve() == source.resolve():
            raise UsageError(
                f"OUT {str(out)!r} would replace DATA {str(source)!r}, which is never written "
                "into; name another file."
            )


def state_path(out: Path) -> Path:
    """Where what an unfinished output is made from lies: hidden beside it."""
    return out.with_name(f".{out.name}.gan-augment.json")
