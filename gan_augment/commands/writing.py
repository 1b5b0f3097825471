"""Outputs of the commands: where they may be written, and how they appear whole.

An output is built in the folder `OUT.part`, and renamed to OUT when every file is there. A repeated
call finds the finished files in `OUT.part` and skips them. `run_folder` guards the folders of runs,
which hold files of known names.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gan_augment.data.images.png_folder import (
    MANIFEST,
    ManifestRow,
    is_whole_png,
    read_manifest,
    safe_names,
    with_sources,
    write_manifest,
    write_part,
)
from gan_augment.data.images.resize import resize_batch
from gan_augment.data.signals import is_whole_signal
from gan_augment.data.tables import manifest_path
from gan_augment.errors import (
    DataError,
    OutputExistsError,
    ResumeMismatchError,
    TooFewAcceptedError,
    UsageError,
    WriteFailedError,
)
from gan_augment.generators import MODEL as MODEL
from gan_augment.input_files import parsed_json, read_regular
from gan_augment.kinds import kind_named
from gan_augment.kinds.kind import Labelled
from gan_augment.processes import available_cores
from gan_augment.progress import Progress
from gan_augment.settings import read_toml
from gan_augment.storage.files import clean_stale, move_file, move_folder, write_errors, write_file
from gan_augment.storage.lock import LOCK_FILE, hold_folder
from gan_augment.training.callbacks import interruptible

if TYPE_CHECKING:
    from gan_augment.generators.image_gan import ImageGAN

RECORD = ".gan-augment.json"
RECORD_FORMAT = "gan-augment output 3"
CONFIG = "config.toml"
HISTORY = "history.jsonl"
SAMPLES = "samples.png"
CANDIDATES = "candidates.png"
TABLE_SAMPLES = "samples.csv"
FILE_FORMAT = "format.json"
ENVIRONMENT = "environment.json"
CHECKPOINTS = "checkpoints"
RUN_FILES = (
    *(MODEL, CHECKPOINTS, HISTORY, ENVIRONMENT, SAMPLES, CANDIDATES, TABLE_SAMPLES, FILE_FORMAT),
    CONFIG,  # identifies a run, so that it is removed last
)
NOT_OF_THE_OUTPUT = {"workers", "threads", "device", "skip_bad"}
"""Options that do not change the output."""
IMAGES_AT_ONCE = 256
"""Images that a thread draws before it writes them."""


@dataclass(frozen=True)
class Result:
    """What a command did. JSON output shows the fields, people read `lines`."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        paths = {name: str(value) for name, value in values.items() if isinstance(value, Path)}
        lists = {name: list(value) for name, value in values.items() if isinstance(value, tuple)}
        return values | paths | lists


class Output:
    """An output under construction.

    path: the final file or folder. part: the folder in which it is built. record: what an
    unfinished output is made from, also after a kill; its `run` and `trained` are the run that was
    fitted for the output and the sha256 of its model.
    """

    def __init__(self, path: Path, command: str, *, overwrite: bool) -> None:
        self.path, self.command, self.overwrite = path, command, overwrite
        self.part = path.with_name(f"{path.name}.part")
        self.record = self._read_record()

    def describe(self, made_from: Mapping[str, Any], **notes: str) -> None:
        """Record what the output is made from.

        Raises ResumeMismatchError if `OUT.part` was begun with other data or settings; with
        `overwrite` it is removed instead.
        """
        now = json.loads(json.dumps(made_from))  # tuples are read back as lists
        before = self.record.get("made_from", now)
        if before != now:
            if not self.overwrite:
                changed = [name for name in now if before.get(name) != now[name]]
                raise ResumeMismatchError(
                    f"{str(self.part)!r} holds an unfinished output with another "
                    f"{' and another '.join(changed)}; give the same as then, or --overwrite."
                )
            self.record = {}
        if not self.record and self.part.is_dir():
            with write_errors(self.part):
                shutil.rmtree(self.part)
        head = {"format": RECORD_FORMAT, "command": self.command, "made_from": now}
        self.record = {**self.record, **head, **notes}
        write_file(self.part / RECORD, json.dumps(self.record, indent=1).encode())

    @property
    def table_named(self) -> bool:
        """Return whether an earlier, unfinished call gave the table its name already.

        The manifest gets its name last, so that it still lies in the part folder then. Its last
        line holds the sha256 of the table.
        """
        table = self.part / self.path.name
        manifest = manifest_path(table)
        if not (self.record and self.path.is_file() and manifest.is_file()) or table.exists():
            return False
        with self.path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return digest.encode() in manifest.read_bytes().splitlines()[-1]

    @property
    def goes_on(self) -> bool:
        """Return whether a repeated call finds something to continue."""
        entries = {entry.name for entry in self.part.iterdir()} if self.part.is_dir() else set()
        run = self.record.get("run")
        return bool(entries - {RECORD}) or (run is not None and (Path(run) / CONFIG).is_file())

    def finish_folder(self, rows: Sequence[ManifestRow]) -> None:
        """Write the manifest of a folder, and give the folder its name.

        Files of an earlier plan are removed. Raises WriteFailedError if a file is gone.
        """
        listed, found = {row.path for row in rows}, _files_below(self.part)
        if gone := listed - found:
            raise WriteFailedError(
                f"{len(gone)} files of {str(self.part)!r} are gone, such as {min(gone)!r}: they "
                "were moved or removed during the call. The same command writes them again."
            )
        write_manifest(self.part / MANIFEST, with_sources(self.part, rows))
        with write_errors(self.part):
            for name in found - listed - {MANIFEST, RECORD}:
                (self.part / name).unlink()
            for entry in [*self.part.iterdir(), self.path]:
                if entry.is_dir() and not any(entry.iterdir()):
                    entry.rmdir()
        move_folder(self.part, self.path)
        with write_errors(self.path):  # last, so that a call that is killed before can be repeated
            (self.path / RECORD).unlink()

    def finish_table(self) -> None:
        """Give the table and then its manifest their names, and remove the part folder."""
        table, replaced = self.part / self.path.name, self.overwrite or self.table_named
        with write_errors(self.path):
            for source in (table, manifest_path(table)):
                if source.exists():
                    move_file(source, self.path.with_name(source.name), replace=replaced)
            shutil.rmtree(self.part)

    def _read_record(self) -> dict[str, Any]:
        """Return the record in the part folder. Raises OutputExistsError for other files there."""
        record: dict[str, Any] = {}
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            stored = parsed_json(read_regular(self.part / RECORD))
            if stored["format"] == RECORD_FORMAT:
                record = {"command": "", **stored, "made_from": dict(stored["made_from"])}
        if not record:
            if self.part.exists() and (not self.part.is_dir() or any(self.part.iterdir())):
                raise OutputExistsError(
                    f"{str(self.part)!r} is needed while {str(self.path)!r} is written, and is not "
                    "from this program; move it away."
                )
            return {}
        if record["command"] != self.command and not self.overwrite:
            raise ResumeMismatchError(
                f"{str(self.part)!r} was begun by `{record['command']}`, not by `{self.command}`; "
                "choose another output, or --overwrite."
            )
        return record


@contextlib.contextmanager
def output(
    path: Path, command: str, *, table: bool = False, overwrite: bool = False
) -> Iterator[Output]:
    """Hold an output for one command, until the block has finished it.

    Parameters
    ----------
    path, command
        The folder or file to write, new or an empty folder; the name of the command.
    table
        Whether the output is one file with a manifest next to it.
    overwrite
        Whether an earlier output may be replaced: any file, but only a folder that holds nothing
        else than its manifest lists.

    Raises
    ------
    OutputExistsError, ResumeMismatchError, FolderInUseError
        Also StopRequested after an interruption, with the way to continue.
    """
    path = Path(path)
    with hold_folder(path.parent, f".{path.name}.lock"):
        clean_stale(path.parent, {path.name})
        held = Output(path, command, overwrite=overwrite)
        if not (table and held.table_named):
            (check_absent if table else _check_folder)(path, overwrite=overwrite)

        def hint() -> str:
            again = "goes on" if held.goes_on else "starts again"
            return f"{str(path)!r} is not finished; the same command {again}"

        try:
            with interruptible(hint):
                yield held
        except BaseException:
            if held.part.is_dir() and not held.goes_on:
                shutil.rmtree(held.part, ignore_errors=True)
            raise


def write_drawn(
    held: Output,
    gan: ImageGAN,
    run: Path,
    counts: Mapping[str, int],
    *,
    seed: int,
    workers: int | None,
    progress: Progress,
) -> None:
    """Write and finish a folder of {class: n} generated images or signals.

    Raises TooFewAcceptedError for classes that the model refuses, after the others are written.
    """
    folders, suffix = safe_names(counts), kind_named(gan.meta_.kind).suffix(gan.meta_.rate)
    paths = {c: [f"{folders[c]}/{i:06d}{suffix}" for i in range(n)] for c, n in counts.items()}
    refused = draw_images(gan, held.part, paths, seed=seed, workers=workers, progress=progress)
    held.finish_folder(
        [
            ManifestRow(path, name, "synthetic", run.name, index)
            for name, own in paths.items()
            for index, path in enumerate(own)
            if name not in refused
        ]
    )
    if refused:
        raise TooFewAcceptedError("; ".join(refused.values()))


def draw_images(
    gan: ImageGAN,
    folder: Path,
    paths: Mapping[str, Sequence[str]],
    *,
    seed: int,
    size: tuple[int, int] | None = None,
    workers: int | None = None,
    progress: Progress,
) -> dict[str, str]:
    """Draw generated images or signals into files, by threads.

    Row i of a class goes to `folder / paths[class][i]`; whole files are skipped. The bytes do not
    depend on the number of threads, `workers`, by default one per core. size: (height, width) in
    px, by default the model's.

    Returns {class: reason} for the classes that the model refuses. They leave no file.
    """
    span, done, stopped = gan.meta_.recipe.generator.span, 0, False
    refused: dict[str, str] = {}
    tasks = [(name, start) for name, own in paths.items() for start in range(0, len(own), span)]

    def draw(task: tuple[str, int]) -> None:
        nonlocal done
        name, first = task
        last = min(first + span, len(paths[name]))
        for start in range(first, last, IMAGES_AT_ONCE):
            own = paths[name][start : min(start + IMAGES_AT_ONCE, last)]
            absent = [i for i, path in enumerate(own) if not is_whole(folder / path)]
            if absent and not stopped and name not in refused:
                try:
                    gan.check_counts({name: len(paths[name])})
                    drawn = gan.rows(name, start, start + len(own), seed).take(absent)
                except TooFewAcceptedError as error:
                    refused[name] = str(error)
                    return
                for i, content in zip(absent, _encoded(drawn, size), strict=True):
                    write_part(folder / own[i], content)
            done += len(own)
            progress.advance(done)

    progress.phase("sampling", sum(map(len, paths.values())))
    with ThreadPoolExecutor(min(workers or available_cores(), len(tasks) or 1)) as pool:
        try:
            for _ in pool.map(draw, tasks):
                pass
        except BaseException:
            stopped = True
            pool.shutdown(cancel_futures=True)
            raise
    with write_errors(folder):
        for path in (path for name in refused for path in paths[name]):
            (folder / path).unlink(missing_ok=True)
    return refused


def _encoded(data: Labelled, size: tuple[int, int] | None) -> list[bytes]:
    """Return the file content of each generated row, images at `size` = (height, width) px."""
    if size is not None and size != data.image_shape[:2]:
        data = replace(data, rows=resize_batch(data.pixels, size))
    return data.kind.encode(data)


def is_whole(path: Path) -> bool:
    """Return whether a file of an image or signal is complete."""
    return is_whole_png(path) if path.suffix == ".png" else is_whole_signal(path)


def check_apart(source: Path, out: Path) -> None:
    """Refuse an output inside the data, and data inside the output."""
    data, target = (Path(os.path.realpath(path)) for path in (source, out))  # resolves link loops
    if data.is_relative_to(target) or (source.is_dir() and target.is_relative_to(data)):
        raise UsageError(
            f"DATA {str(source)!r} and the output {str(out)!r} lie in each other; DATA is never "
            "written into, so name another folder."
        )


def check_file_apart(source: Path, out: Path) -> None:
    """Refuse to write a table or its manifest over the data, whatever its name."""
    for file in (out, manifest_path(out)):
        same = file.exists() and source.exists() and file.samefile(source)
        if same or file.resolve() == source.resolve():
            raise UsageError(
                f"OUT {str(out)!r} would replace DATA {str(source)!r}, which is never written "
                "into; name another file."
            )


def check_absent(path: Path, *, overwrite: bool) -> None:
    """Raise OutputExistsError if a table or its manifest would replace something."""
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


def new_run_folder(data: str | Path, parent: str = "runs") -> Path:
    """Return `<parent>/<name of data>`, or the first free of -2, -3, ... behind it."""
    source = Path(data).resolve()
    name = (source.stem if source.is_file() else source.name) or "data"
    ends = ("" if number == 1 else f"-{number}" for number in itertools.count(1))
    return next(run for end in ends if not (run := Path(parent) / f"{name}{end}").exists())


def folder_to_write(
    data: str | Path, out: str | Path | None, parent: str = "runs", *, resume: bool = False
) -> Path:
    """Return `out`, by default a new folder in `parent`. Raises UsageError if it is unsuitable."""
    if resume and out is None:
        raise UsageError("--resume needs --out, the folder of what was stopped")
    folder = new_run_folder(data, parent) if out is None else Path(out)
    check_apart(Path(data), folder)
    return folder


@contextlib.contextmanager
def run_folder(
    run: Path, *, resume: bool, overwrite: bool, ours: Callable[[Path], bool] | None = None
) -> Iterator[None]:
    """Hold the folder of a run; refuse it if `resume` and `overwrite` do not allow it.

    ours: whether a folder is a run, by default `is_run`. No file of an earlier run is removed here.
    """
    with hold_folder(run):
        clean_stale(run, RUN_FILES)  # a call that was killed in its first write left nothing else
        filled = any(entry.name != LOCK_FILE for entry in run.iterdir())
        is_ours = (ours or is_run)(run)
        if resume and not is_ours:
            raise ResumeMismatchError(f"{str(run)!r} holds no run to resume; leave out --resume")
        if filled and not resume and not (overwrite and is_ours):
            cure = ", --resume to continue, or --overwrite to replace it" if is_ours else ""
            raise OutputExistsError(
                f"{str(run)!r} is not empty, and holds {'a run' if is_ours else 'no run'}. Choose "
                f"another --out{cure}."
            )
        yield


def is_run(run: Path) -> bool:
    """Return whether the folder's config.toml is from a fit; other projects use that name, too."""
    try:
        values = read_toml(run / CONFIG)
    except UsageError:
        return False
    return all(isinstance(values.get(table), dict) for table in ("fit", "resolved", "recipe"))


def remove_named(folder: Path, names: Sequence[str]) -> None:
    """Remove files and folders of known names, in their order, and nothing else."""
    with write_errors(folder):
        for path in (folder / name for name in names):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def _check_folder(path: Path, *, overwrite: bool) -> None:
    """Raise OutputExistsError unless a folder is new, empty, or an output to overwrite."""
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        raise OutputExistsError(f"{str(path)!r} is a file or a link; expected a new folder.")
    if not path.exists() or not any(path.iterdir()):
        return
    if not overwrite:
        raise OutputExistsError(
            f"{str(path)!r} is not empty. Choose another folder, or --overwrite to replace an "
            "earlier output."
        )
    try:
        listed = {MANIFEST, RECORD, *(row.path for row in read_manifest(path / MANIFEST))}
    except DataError:
        listed = set()
    if foreign := _files_below(path) - listed:
        raise OutputExistsError(
            f"{str(path)!r} holds files that are not from this program, such as {min(foreign)!r}, "
            "and --overwrite replaces only its own. Choose another folder, or move them away."
        )


def _files_below(folder: Path) -> set[str]:
    """Return the files, links included, below a folder, by their path with forward slashes."""
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_symlink() or not path.is_dir()
    }
