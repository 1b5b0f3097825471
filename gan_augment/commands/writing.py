"""Outputs of the commands: where they may be written, and how they appear whole.

An output is built in a temporary folder, and renamed to OUT when every file is there. `run_folder`
guards the folders of runs, which hold files of known names.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shlex
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from gan_augment.data.images.png_folder import (
    MANIFEST,
    ManifestRow,
    read_manifest,
    safe_names,
    write_manifest,
)
from gan_augment.data.tables import manifest_path
from gan_augment.errors import (
    DataError,
    OutputExistsError,
    ResumeMismatchError,
    TooFewAcceptedError,
    UsageError,
)
from gan_augment.generators import MODEL as MODEL
from gan_augment.kinds import kind_named
from gan_augment.processes import available_cores
from gan_augment.progress import Progress
from gan_augment.settings import read_toml
from gan_augment.storage.files import (
    clean_stale,
    move_folder,
    temporary_path,
    write_errors,
    write_file,
)
from gan_augment.storage.lock import LOCK_FILE, hold_folder
from gan_augment.training.callbacks import interruptible

if TYPE_CHECKING:
    from gan_augment.generators.image_gan import ImageGAN

CONFIG = "config.toml"
HISTORY = "history.jsonl"
SAMPLES = "samples.png"
CURVES = "curves.png"
TABLE_SAMPLES = "samples.csv"
FILE_FORMAT = "format.json"
CHECKPOINT = "checkpoint.safetensors"
RUN_FILES = (
    *(MODEL, CHECKPOINT, HISTORY, SAMPLES, CURVES, TABLE_SAMPLES, FILE_FORMAT),
    CONFIG,  # identifies a run, so that it is removed last
)
IMAGES_AT_ONCE = 256
"""Images that a thread draws before it writes them."""


class Result(BaseModel):
    """What a command did: fields for JSON, `lines` for people; `following`: the next command."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)
    following: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        return self.model_dump(mode="json")


def next_command(name: str, *words: object, **options: object) -> str:
    """Return a command of this library as one line; options that are None are left out.

    >>> next_command("fit", "my photos", image_size="32x32", recipe=None)
    "gan-augment fit 'my photos' --image-size 32x32"
    """
    given = [(f"--{k.replace('_', '-')}", v) for k, v in options.items() if v is not None]
    flags = [str(word) for pair in given for word in pair]
    return shlex.join(["gan-augment", name, *map(str, words), *flags])


@contextlib.contextmanager
def output(path: Path, *, table: bool = False, overwrite: bool = False) -> Iterator[Path]:
    """Hold an output, and yield the folder to build it in, which is renamed after the block.

    A block that raises leaves nothing.

    - path: The folder or file to write, new or an empty folder.
    - table: Whether the output is one file with a manifest next to it.
    - overwrite: Whether an earlier output may be replaced: any file, but only a folder that holds
      nothing else than its manifest lists.

    Raises OutputExistsError, FolderInUseError (also StopRequested after an interruption, with the
    way to continue).
    """
    with hold_folder(path.parent, f".{path.name}.lock"):
        clean_stale(path.parent, {path.name})
        (check_absent if table else _check_folder)(path, overwrite=overwrite)
        part = temporary_path(path, "tmp")
        try:
            with interruptible(lambda: f"{str(path)!r} was not written; the same command goes on"):
                yield part
            if not table:
                move_folder(part, path)
                return
            check_absent(path, overwrite=overwrite)  # of other programs, meanwhile
            with write_errors(path):
                for source in (part / path.name, manifest_path(part / path.name)):
                    source.replace(path.with_name(source.name))
        finally:
            shutil.rmtree(part, ignore_errors=True)


def write_drawn(
    part: Path,
    gan: ImageGAN,
    model: str,
    counts: Mapping[str, int],
    *,
    seed: int,
    workers: int | None,
    progress: Progress,
) -> None:
    """Write a folder of {class: n} generated images or signals of the run `model`."""
    folders, suffix = safe_names(counts), kind_named(gan.meta_.kind).suffix(gan.meta_.rate)
    paths = {c: [f"{folders[c]}/{i:06d}{suffix}" for i in range(n)] for c, n in counts.items()}
    how: dict[str, Any] = {"seed": seed, "workers": workers, "progress": progress}
    refused, sources = draw_images(gan, part, paths, **how)
    if refused:
        why = "; ".join(f"{counts[name]:,} wanted: {reason}" for name, reason in refused.items())
        raise TooFewAcceptedError(f"{why}. Nothing was written; the run {model!r} is kept.")
    rows = [
        ManifestRow(path, name, "synthetic", model, index)
        for name, own in paths.items()
        for index, path in enumerate(own)
    ]
    write_manifest(part / MANIFEST, rows, sources)


def draw_images(
    gan: ImageGAN,
    folder: Path,
    paths: Mapping[str, Sequence[str]],
    *,
    seed: int,
    workers: int | None = None,
    progress: Progress,
) -> tuple[dict[str, str], dict[str, str]]:
    """Draw generated images or signals into files, by threads.

    Row i of a class goes to `folder / paths[class][i]`. The bytes do not depend on the number of
    threads, `workers`, by default one per core.

    Returns {class: reason} for the classes that the model refuses, which leave no file, and {path:
    id of the row that an image was drawn from}.
    """
    span, done, stopped = gan.meta_.recipe.generator.span, 0, False
    refused, sources = dict[str, str](), dict[str, str]()
    tasks = [(name, start) for name, own in paths.items() for start in range(0, len(own), span)]

    def draw(task: tuple[str, int]) -> None:
        nonlocal done
        name, first = task
        last = min(first + span, len(paths[name]))
        for start in range(first, last, IMAGES_AT_ONCE):
            if stopped or name in refused:
                return
            own = paths[name][start : min(start + IMAGES_AT_ONCE, last)]
            try:
                gan.check_counts({name: len(paths[name])})
                drawn = gan.rows(name, start, start + len(own), seed)
            except TooFewAcceptedError as error:
                refused[name] = str(error)
                return
            if drawn.sources is not None:
                sources.update(zip(own, drawn.sources.tolist(), strict=True))
            for path, content in zip(own, drawn.kind.encode(drawn), strict=True):
                write_file(folder / path, content, sync=False)
            done += len(own)
            progress.advance(done)

    progress.phase("sampling", sum(map(len, paths.values())))
    with ThreadPoolExecutor(min(workers or available_cores(), len(tasks) or 1)) as pool:
        try:
            list(pool.map(draw, tasks))
        except BaseException:
            stopped = True
            pool.shutdown(cancel_futures=True)
            raise
    with write_errors(folder):
        for path in (folder / path for name in refused for path in paths[name]):
            path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                path.parent.rmdir()  # only if it is empty
    return refused, sources


def check_apart(source: Path, out: Path) -> None:
    """Refuse an output that is the data or lies inside it, and data inside the output."""
    data, target = (Path(os.path.realpath(path)) for path in (source, out))  # resolves link loops
    inside = data.is_relative_to(target) or (source.is_dir() and target.is_relative_to(data))
    if inside or data == manifest_path(target):
        raise UsageError(
            f"the output {str(out)!r} and the data {str(source)!r} overlap. Data is never written "
            "to; name another output."
        )


def check_absent(path: Path, *, overwrite: bool) -> None:
    """Raise OutputExistsError if a table or its manifest would replace something."""
    if path.is_dir():
        raise OutputExistsError(
            f"{str(path)!r} is a folder, and a table is written to a file, such as "
            f"{str(path / 'more.csv')!r}."
        )
    for file in (path, manifest_path(path)):
        if file.is_dir() or (file.exists() and not overwrite):
            raise OutputExistsError(
                f"{str(file)!r} exists. Choose another name, or --overwrite to replace it."
            )


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
        listed = {MANIFEST, *(row.path for row in read_manifest(path / MANIFEST))}
    except DataError:
        listed = set()
    found = (file for file in path.rglob("*") if file.is_symlink() or not file.is_dir())
    if foreign := {file.relative_to(path).as_posix() for file in found} - listed:
        raise OutputExistsError(
            f"{str(path)!r} holds files that are not from this program, such as {min(foreign)!r}, "
            "and --overwrite replaces only its own. Choose another folder, or move them away."
        )


def default_folders(data: str | Path, parent: str = "runs") -> list[Path]:
    """Return the folders `<parent>/<name of data>`, then -2, -3, ...; only the last is new."""
    source, folders = Path(data).resolve(), list[Path]()
    name = (source.stem if source.is_file() else source.name) or "data"
    for number in itertools.count(1):
        folders.append(Path(parent, name if number == 1 else f"{name}-{number}"))
        if not folders[-1].exists():
            break
    return folders


def folder_to_write(
    data: str | Path,
    out: str | Path | None,
    parent: str = "runs",
    *,
    resume: bool = False,
    unfinished: Callable[[Path], bool] | None = None,
    progress: Progress | None = None,
) -> Path:
    """Return `out`, by default the last of `default_folders`.

    With `resume` the default is the last earlier one that is `unfinished`, by default a run without
    a model. Raises UsageError if there is none, and for a folder in the data.
    """
    *earlier, folder = default_folders(data, parent) if out is None else [Path(out)]
    if out is None and resume:
        unfinished = unfinished or (lambda run: is_run(run) and not (run / MODEL).exists())
        begun = [one for one in earlier if unfinished(one)]
        if not begun:
            raise UsageError(
                f"--resume: {str(default_folders(data, parent)[0])!r} and its numbered copies hold "
                "nothing unfinished; name the folder to resume with --out"
            )
        folder = begun[-1]
    elif earlier and progress is not None:
        progress.note(
            f"{str(earlier[-1])!r} exists, so this goes to {str(folder)!r} (--resume would "
            "continue it, --out FOLDER --overwrite replace it)"
        )
    check_apart(Path(data), folder)
    return folder


@contextlib.contextmanager
def run_folder(
    run: Path, *, resume: bool, overwrite: bool, ours: Callable[[Path], bool] | None = None
) -> Iterator[None]:
    """Hold the folder of a run; refuse it if `resume` and `overwrite` do not allow it."""
    with hold_folder(run):
        clean_stale(run, RUN_FILES)  # a call that was killed in its first write left nothing else
        filled = any(entry.name != LOCK_FILE for entry in run.iterdir())
        is_ours = (ours or is_run)(run)
        if resume and not is_ours:
            raise ResumeMismatchError(f"{str(run)!r} holds no run; leave out --resume")
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
