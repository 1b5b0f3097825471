"""Outputs of the commands: where they may be written, what in them is ours, how to resume.

An output is all of its files. Three policies: a folder of images is written file by file and goes
on where it was; a table is written whole or not at all; a run folder holds files of known names.
Each is held by one process at a time, refused where something else is there, and replaced only
with `overwrite`, which removes nothing but our own files.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from gan_augment.data.images.png_folder import MANIFEST, ManifestRow, read_manifest, write_manifest
from gan_augment.data.tables import PART, manifest_path
from gan_augment.errors import (
    DataError,
    OutputExistsError,
    ResumeMismatchError,
    UsageError,
    WriteFailedError,
)
from gan_augment.generators.model_file import NAME, ModelMeta
from gan_augment.input_files import read_regular
from gan_augment.settings import read_toml
from gan_augment.storage import (
    check_room,
    clean_stale,
    hold_folder,
    settle_files,
    write_errors,
    write_file,
)
from gan_augment.storage.bundle import load_meta
from gan_augment.storage.lock import LOCK_FILE
from gan_augment.training.callbacks import interruptible

RECORD = ".gan-augment.json"
PLANNED = ".manifest.csv"

CONFIG = "config.toml"
HISTORY = "history.jsonl"
SAMPLES = "samples.png"
CANDIDATES = "candidates.png"
TABLE_SAMPLES = "samples.csv"
FILE_FORMAT = "format.json"
ENVIRONMENT = "environment.json"
MODEL = "model"
CHECKPOINTS = "checkpoints"
RESOLVER = "super-resolver"
RUN_FILES = (
    *(
        MODEL,
        RESOLVER,
        CHECKPOINTS,
        HISTORY,
        ENVIRONMENT,
        SAMPLES,
        CANDIDATES,
        TABLE_SAMPLES,
        FILE_FORMAT,
    ),
    CONFIG,  # the sign that a folder is a run goes last
)


NOT_OF_THE_OUTPUT = {"workers", "threads", "device", "skip_bad"}
"""Options that change how, and not what, is written."""


@dataclass(frozen=True)
class Result:
    """What a command did: its fields are what JSON says of it, `lines` what people read."""

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        paths = {name: str(value) for name, value in values.items() if isinstance(value, Path)}
        lists = {name: list(value) for name, value in values.items() if isinstance(value, tuple)}
        return values | paths | lists


class OutputRecord(BaseModel):
    """What an output is made from, kept beside it; `--resume` goes on only with the same."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["gan-augment output"] = "gan-augment output"
    version: Literal[1] = 1
    command: str
    made_from: dict[str, Any]
    notes: dict[str, str] = {}
    replaces: dict[str, list[int]] | None = None  # what was there and may go, {file: its identity}
    written: dict[str, str] = {}  # {file: sha256}, known before the files have their names


class Output:
    """A table file under way, and what a resumed call needs to know of it: `notes`.

    replaces: the earlier table and manifest that may go, None where nothing may be replaced.
    """

    place = "file"

    def __init__(
        self,
        path: Path,
        command: str,
        before: OutputRecord | None,
        replaces: dict[str, list[int]] | None = None,
    ) -> None:
        self.path = path
        self.command = command
        self.notes = dict(before.notes) if before else {}
        self.resuming = before is not None
        self.replaces = replaces
        self._before = before
        self._made_from: dict[str, Any] = {}

    @cached_property
    def finished(self) -> bool:
        """Whether the files of the call that is resumed are whole; nothing is left to do then."""
        written = self._before.written if self._before else {}
        files = {self.path.parent / name: digest for name, digest in written.items()}
        return bool(files) and all(f.is_file() and _sha256(f) == d for f, d in files.items())

    @property
    def record(self) -> Path:
        """Return where the record of a table lies: hidden beside it, also once it is whole."""
        return self.path.with_name(f".{self.path.name}.gan-augment.json")

    @property
    def _other_records(self) -> Iterator[Path]:
        """The records of other shards of the same output, beside this one's."""
        parts = ".part-*-of-*.parquet.gan-augment.json" if PART.fullmatch(self.path.name) else ""
        return self.path.parent.glob(parts) if parts else iter(())

    @property
    def goes_on(self) -> bool:
        """Whether a stopped call leaves something to go on with."""
        return "run" in self.notes or self.path.exists()  # an earlier one, or ours already

    def check_room(self, needed_bytes: int, files: int = 2) -> None:
        """Raise WriteFailedError where the disk cannot hold so much."""
        if not self.finished:
            check_room(self.path.parent, needed_bytes, files)

    def describe(self, made_from: Mapping[str, Any], **notes: str) -> None:
        """Record what the output is made from, and notes that a resumed call needs.

        Raises ResumeMismatchError where a stopped call, or another shard of the output, was made
        from something else.
        """
        now = self._made_from = json.loads(json.dumps(made_from))  # lists, as tuples read back
        others = (_read_record(r, self.path, self.command, self.place) for r in self._other_records)
        for record in (self._before, *others):
            stored = record.made_from if record else now
            if stored != now:
                changed = [name for name in now if stored.get(name) != now[name]]
                raise ResumeMismatchError(
                    f"{str(self.path)!r} was begun with another {' and another '.join(changed)}; "
                    f"give the same as then, or --overwrite, or another {self.place}."
                )
        self.notes |= notes
        self.write_record({} if self._before is None else self._before.written)

    def write_record(self, written: Mapping[str, str]) -> None:
        """Write the record, with the checksums {file: sha256} of what is about to appear."""
        record = OutputRecord(
            command=self.command,
            made_from=self._made_from,
            notes=self.notes,
            replaces=self.replaces,
            written=dict(written),
        )
        write_file(self.record, record.model_dump_json(indent=1).encode())


class FolderOutput(Output):
    """A folder of images that this process holds; with `resuming`, whole files in it stay."""

    place = "folder"

    def __init__(
        self,
        path: Path,
        command: str,
        before: OutputRecord | None,
        *,
        resuming: bool,
        replacing: bool,
        shard: str = "",
    ) -> None:
        going = before is not None and before.replaces is not None
        super().__init__(path, command, before, {} if replacing or going else None)
        self.resuming = resuming
        self._shard = shard
        self._record, self._planned, self._manifest = _names(shard)
        self._owned = {row.path: row for row in _listed(path, shard)}

    @property
    def record(self) -> Path:
        """Return where the record lies: hidden in the folder."""
        return self.path / self._record

    @property
    def _other_records(self) -> Iterator[Path]:
        return self.path.glob(_names("*")[0]) if self._shard else iter(())

    def describe(self, made_from: Mapping[str, Any], **notes: str) -> None:
        """As `Output.describe`; an output that is replaced goes now that the new one is known.

        Until it is gone the record says so, and a resumed call goes on with that.
        """
        super().describe(made_from, **notes)
        if self.replaces is not None:
            _remove_listed(self.path, self._owned, self._shard)
            self.replaces, self._owned = None, {}
            self.write_record({})

    def plan(self, rows: Sequence[ManifestRow]) -> None:
        """Record the files that are going to be written; only these are ever overwritten.

        A later plan adds to it. Raises OutputExistsError where a file is there and is not ours.
        """
        for name in sorted({row.path.split("/")[0] for row in rows}):
            if (self.path / name).is_symlink():
                raise OutputExistsError(f"{str(self.path / name)!r} is a link; remove it first.")
        clean_stale(self.path, {self._manifest})
        _clean_stale(self.path, {row.path for row in rows})
        for row in rows:
            if row.path not in self._owned and (self.path / row.path).exists():
                raise OutputExistsError(
                    f"{str(self.path / row.path)!r} is there already, and not from this program; "
                    "move it away, or choose another folder. Nothing was written."
                )
        self._owned |= {row.path: row for row in rows}
        write_manifest(self.path / self._planned, self._owned.values())

    def check_room(self, needed_bytes: int, files: int = 2) -> None:
        """As `Output.check_room`; what lies there already is replaced or stays."""
        before = [self.path / row for row in self._owned if _is_inside(self.path, row)]
        spare_bytes = sum(file.stat().st_size for file in before if file.is_file())
        check_room(self.path, needed_bytes, files, spare_bytes)

    def finish(self, rows: Sequence[ManifestRow]) -> None:
        """Write the manifest: the output is complete. Files of a plan that changed are removed.

        Raises WriteFailedError where the folder, or a file in it, is gone by now.
        """
        gone = [row.path for row in rows if not (self.path / row.path).is_file()]
        if gone:
            raise WriteFailedError(
                f"{len(gone)} files of {str(self.path)!r} are gone, such as {gone[0]!r}: they were "
                "moved or removed while it was written. --resume writes them again."
            )
        write_manifest(self.path / self._manifest, rows, replace=self.resuming)
        with write_errors(self.path):
            for name in self._owned.keys() - {row.path for row in rows}:
                if _is_inside(self.path, name):
                    (self.path / name).unlink(missing_ok=True)
            (self.path / self._planned).unlink(missing_ok=True)


def _names(shard: str) -> tuple[str, str, str]:
    """The names of an output's record, its plan and its manifest, or of those of a shard of it."""
    if not shard:
        return RECORD, PLANNED, MANIFEST
    return f".gan-augment-{shard}.json", f".manifest-{shard}.csv", f"manifest-{shard}.csv"


@contextlib.contextmanager
def output_folder(
    path: Path,
    command: str,
    *,
    resume: bool = False,
    overwrite: bool = False,
    shard: str = "",
) -> Iterator[FolderOutput]:
    """Hold `path` for one command: a new or empty folder, or what `resume` or `overwrite` allow.

    shard: "00003-of-00016" holds that shard of the output alone, beside others.
    Overwriting removes the files that our manifest lists, and no other, once the output is
    described. A folder that was made here and stays empty is removed. An interruption is raised
    again as StopRequested with the way on.
    Raises OutputExistsError, ResumeMismatchError, FolderInUseError.
    """
    path = Path(path)
    hint = "what is finished was kept; the same command with --resume goes on"
    record, planned, _ = _names(shard)
    lock = f"{LOCK_FILE}-{shard}" if shard else LOCK_FILE
    with interruptible(lambda: hint), hold_folder(path, lock):
        clean_stale(path, {record, planned})
        before = _read_record(path / record, path, command, "folder") if resume else None
        foreign = _is_filled(path, shard)
        if resume and before is None and foreign:
            raise ResumeMismatchError(
                f"{str(path)!r} holds files, but was not begun by `{command}`; choose another "
                "folder."
            )
        if overwrite and not resume:
            _check_replaceable(path, foreign, shard)
        elif foreign and not resume:
            raise OutputExistsError(
                f"{str(path)!r} is not empty. Choose another folder, or --resume to go on "
                "where a stopped run was, or --overwrite to replace what is in it."
            )
        yield FolderOutput(
            path, command, before, resuming=resume, replacing=overwrite and not resume, shard=shard
        )


@contextlib.contextmanager
def output_file(
    path: Path, command: str, *, resume: bool = False, overwrite: bool = False
) -> Iterator[Output]:
    """Hold `path` and its manifest for one command: new ones, or with `overwrite` earlier ones.

    What a dead process had begun to rename is ended first. The record that `describe` writes stays
    beside an output that is whole, so that `resume` can tell it from another; it goes where the
    block fails with nothing to go on with. An interruption is raised again as StopRequested with
    the way on. Raises OutputExistsError, ResumeMismatchError, FolderInUseError.
    """
    path = Path(path)
    pair = (path, manifest_path(path))
    with hold_folder(path.parent, f".{path.name}.lock"):
        settle_files(*pair)
        output = Output(path, command, None, _identities(pair) if overwrite else None)
        clean_stale(path.parent, {output.record.name})
        if resume:
            before = _read_record(output.record, path, command, "file")
            replaces = output.replaces
            if before and before.replaces == _identities(pair):
                replaces = before.replaces
            output = Output(path, command, before, replaces)
        if not output.finished:
            check_absent(path, overwrite=output.replaces is not None)

        def hint() -> str:
            again = "with --resume goes on" if output.goes_on else "does it again"
            return f"{str(path)!r} was not written; the same command {again}"

        try:
            with interruptible(hint):
                yield output
        except BaseException:
            if not output.goes_on:
                with write_errors(path):
                    output.record.unlink(missing_ok=True)
            raise


def check_absent(path: Path, *, overwrite: bool) -> None:
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


def _identities(files: Sequence[Path]) -> dict[str, list[int]]:
    """What tells files from others that take their names: {name: inode, bytes, ns of change}."""
    there = {file.name: file.stat() for file in files if file.is_file()}
    return {name: [of.st_ino, of.st_size, of.st_mtime_ns] for name, of in there.items()}


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def check_apart(source: Path, out: Path) -> None:
    """Refuse an output in the data, and data in the output. Only folders hold data below them."""
    data, target = (Path(os.path.realpath(path)) for path in (source, out))  # links in circles, too
    if data.is_relative_to(target) or (source.is_dir() and target.is_relative_to(data)):
        raise UsageError(
            f"DATA {str(source)!r} and the output {str(out)!r} lie in each other; DATA is never "
            "written into, so name a folder beside it."
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


def new_run_folder(data: str | Path, parent: str = "runs") -> Path:
    """`<parent>/<name of data>`, or with the first free of -2, -3, ... behind it."""
    name = Path(data).resolve().stem if Path(data).is_file() else Path(data).resolve().name
    folder = Path(parent) / (name or "data")
    number = 2
    candidate = folder
    while candidate.exists():
        candidate = folder.with_name(f"{folder.name}-{number}")
        number += 1
    return candidate


@contextlib.contextmanager
def run_folder(
    run: Path, *, resume: bool, overwrite: bool, ours: Callable[[Path], bool] | None = None
) -> Iterator[None]:
    """Hold the folder of a run; refused where `resume` and `overwrite` do not allow it.

    ours: whether a folder is one, `is_run` by default.
    Nothing of an earlier run is removed here. A folder made for nothing goes away again.
    """
    with hold_folder(run):
        clean_stale(run, RUN_FILES)  # one that was killed in its first write is empty
        filled = any(entry.name != LOCK_FILE for entry in run.iterdir())
        is_ours = (ours or is_run)(run)
        if resume and not is_ours:
            raise ResumeMismatchError(f"{str(run)!r} holds no run to resume; leave out --resume")
        if filled and not resume and not overwrite:
            raise OutputExistsError(
                f"{str(run)!r} is not empty. Choose another --out, or --resume to go on with its "
                "run, or --overwrite to replace it."
            )
        if filled and not resume and not is_ours:
            raise OutputExistsError(
                f"{str(run)!r} holds no run, and --overwrite replaces only runs. Choose another "
                "--out."
            )
        yield


def is_run(run: Path) -> bool:
    """Whether the folder's config.toml is one of ours; a project may have a file of that name."""
    if not (run / CONFIG).is_file():
        return False
    try:
        values = read_toml(run / CONFIG)
    except UsageError:
        return False
    return all(isinstance(values.get(table), dict) for table in ("fit", "resolved", "recipe"))


def remove_named(folder: Path, names: Sequence[str]) -> None:
    """Remove what an earlier call wrote under known names, in their order, and nothing else."""
    with write_errors(folder):
        for path in (folder / name for name in names):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def _read_record(path: Path, out: Path, command: str, place: str) -> OutputRecord | None:
    """The record of `out` at `path`, if there is one, or ResumeMismatchError for another's."""
    try:
        record = OutputRecord.model_validate_json(read_regular(path))
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise ResumeMismatchError(
            f"{str(path)!r} cannot be read ({type(error).__name__}); use another folder."
        ) from None
    if record.command != command:
        raise ResumeMismatchError(
            f"{str(out)!r} was begun by `{record.command}`, not by `{command}`; "
            f"choose another {place}."
        )
    return record


def _is_filled(path: Path, shard: str) -> bool:
    """Whether a folder holds files; beside other shards, files of this one."""
    names = {entry.name for entry in path.iterdir()}
    if shard and any(path.glob(_names("*")[0])):
        return not names.isdisjoint(_names(shard)[1:])
    return any(not name.startswith(LOCK_FILE) for name in names - {*_names(shard)[:2]})


def _listed(path: Path, shard: str = "") -> list[ManifestRow]:
    files = (path / name for name in _names(shard)[1:])
    return [row for file in files if file.is_file() for row in read_manifest(file)]


def _check_replaceable(path: Path, foreign: bool, shard: str) -> None:
    try:
        rows = _listed(path, shard)
    except DataError as error:
        raise OutputExistsError(f"{error} Nothing was removed; choose another folder.") from None
    if not rows and foreign:
        raise OutputExistsError(
            f"{str(path)!r} holds files that are not from this program, and --overwrite removes "
            "only its own. Choose another folder, or empty this one."
        )


def _remove_listed(path: Path, listed: Collection[str], shard: str) -> None:
    """Remove the files that our manifests list, then the folders that this leaves empty."""
    folders = set()
    with write_errors(path):
        for name in listed:
            if _is_inside(path, name):
                (path / name).unlink(missing_ok=True)
                folders.add((path / name).parent)
        _clean_stale(path, listed)
        for folder in folders - {path}:
            with contextlib.suppress(OSError):
                folder.rmdir()
        for name in _names(shard)[1:]:  # that list the files, last
            (path / name).unlink(missing_ok=True)


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


def resolver_folder(model: Path, scale: int) -> Path:
    """The super-resolver beside a model. Raises UsageError where there is none of that scale."""
    folder = model.parent / RESOLVER
    found = None
    if (folder / f"{NAME}.json").is_file():
        found = load_meta(folder, NAME, schema=ModelMeta).recipe.generator.scale
    if found != scale:
        has = "none" if found is None else f"one of {found} times the side"
        raise UsageError(
            f"--super-resolve {scale} needs a run with such a super-resolver, and "
            f"{str(model.parent)!r} has {has}: fit with --super-resolve {scale}, or give it to "
            "augment, which fits both"
        )
    return folder
