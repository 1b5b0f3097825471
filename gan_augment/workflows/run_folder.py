"""The folder of a run: whether it may be used, its settings, what a resumed run goes on with.

Nothing here trains or samples.
"""

from __future__ import annotations

import contextlib
import json
import platform
import shutil
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from gan_augment.config import FitOptions
from gan_augment.data.topup_plan import choose_classes
from gan_augment.devices import ComputeConfig
from gan_augment.errors import OutputExistsError, ResumeMismatchError, UsageError
from gan_augment.recipes import DataKind, Recipe, resolve_recipe
from gan_augment.settings import read_toml, to_toml
from gan_augment.storage import FolderLock, clean_stale, write_errors, write_file
from gan_augment.storage.lock import LOCK_FILE

CONFIG = "config.toml"
HISTORY = "history.jsonl"
SAMPLES = "samples.png"
CANDIDATES = "candidates.png"
TABLE_SAMPLES = "samples.csv"
FILE_FORMAT = "format.json"
ENVIRONMENT = "environment.json"
MODEL = "model"
CHECKPOINTS = "checkpoints"
_OWN = (
    *(MODEL, CHECKPOINTS, CONFIG, HISTORY, ENVIRONMENT),
    *(SAMPLES, CANDIDATES, TABLE_SAMPLES, FILE_FORMAT),
)
_VERSIONS: dict[DataKind, tuple[str, ...]] = {
    "image": ("gan-augment", "torch", "numpy", "pillow"),
    "table": ("gan-augment", "torch", "numpy", "pandas", "scikit-learn"),
}
_TABLES = ("fit", "resolved", "recipe")
_FREE = {"budget_s", "workers", "skip_bad", "device", "recipe", "classes", "flips"}


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
def held(run: Path, *, resume: bool, overwrite: bool) -> Iterator[None]:
    """Hold the folder for this process; refused where `resume` and `overwrite` do not allow it.

    Nothing of an earlier run is removed here. A folder made for nothing goes away again.
    """
    if run.exists() and not run.is_dir():
        raise OutputExistsError(f"{str(run)!r} is a file; expected the path of a folder.")
    new = not run.exists()
    try:
        with FolderLock(run):
            _check_allowed(run, resume, overwrite)
            clean_stale(run, _OWN)
            yield
    finally:
        if new:
            with contextlib.suppress(OSError):
                run.rmdir()  # only if nothing was written


def remove_earlier_run(run: Path) -> None:
    """Remove what an earlier run wrote and nothing else; its settings, its sign, go last."""
    with write_errors(run):
        for name in sorted(_OWN, key=lambda name: name == CONFIG):
            path = run / name
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def write_settings(
    run: Path, source: str, options: FitOptions, recipe: Recipe, machine: ComputeConfig
) -> None:
    """config.toml, what repeats and resumes the run, and environment.json, where it ran.

    On tables "auto" chooses among recipes once the run is resumed too, so it is kept as a word.
    """
    chooses = options.data_kind == "table" and options.recipe == "auto"
    values = {
        "data": source,
        "fit": options.model_dump(mode="json", exclude=set() if chooses else {"recipe"}),
        "resolved": {"precision": machine.precision, "threads": machine.threads},
        "recipe": recipe.model_dump(mode="json"),
    }
    write_file(run / CONFIG, to_toml(values).encode("utf-8", "replace"))
    environment = {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "machine": machine.line(),
        "versions": {name: _version(name) for name in _VERSIONS[options.data_kind]},
    }
    write_file(run / ENVIRONMENT, (json.dumps(environment, indent=1) + "\n").encode())


def begun_with(run: Path, asked: FitOptions, *, force: bool) -> FitOptions:
    """The settings a run began with, to be resumed with.

    What is asked must be the same or left at its default, or ResumeMismatchError is raised; with
    `force` it replaces what was. Classes are compared once they are known, by `check_classes`.
    """
    values = read_toml(run / CONFIG)
    pinned = values["resolved"] if "steps" in values["fit"] else {}  # else nothing was trained
    stored = FitOptions.checked({**values["fit"], **pinned}, str(run / CONFIG))
    if "recipe" not in values["fit"]:
        recipe = Recipe.checked(values["recipe"], str(run / CONFIG))
        stored = stored.model_copy(update={"recipe": recipe})
    changed = _changed(stored, asked)
    for name, (theirs, mine) in changed.items():
        if not force:
            raise _other(run, name, theirs, mine)
    free: dict[str, Any] = {"workers": asked.workers, "skip_bad": asked.skip_bad or stored.skip_bad}
    if asked.device != "auto":
        free["device"] = asked.device
    return stored.model_copy(update={name: mine for name, (_, mine) in changed.items()} | free)


def check_classes(
    run: Path, stored: FitOptions, asked: FitOptions, counts: Mapping[str, int], *, force: bool
) -> FitOptions:
    """Stored settings with the classes that are asked for: the same ones, unless forced."""
    if asked.classes == FitOptions().classes:
        return stored
    mine = choose_classes(asked.classes, counts)
    if set(mine) != set(stored.classes) and not force:
        raise _other(run, "classes", stored.classes, mine)
    return stored.model_copy(update={"classes": mine}) if force else stored


def _changed(stored: FitOptions, asked: FitOptions) -> dict[str, tuple[Any, Any]]:
    """{setting: (as it was, as asked)} of those that are asked to be different."""
    defaults, changed = FitOptions(), {}
    for name in sorted(set(FitOptions.model_fields) - _FREE):
        mine, theirs = getattr(asked, name), getattr(stored, name)
        if mine not in (getattr(defaults, name), theirs):
            changed[name] = (theirs, mine)
    if asked.flips and not stored.flips:
        changed["flips"] = (False, True)
    if asked.recipe != defaults.recipe:
        recipe = with_flips(resolve_recipe(asked.recipe, stored.data_kind), stored.flips)
        if recipe != stored.recipe:
            changed["recipe"] = (getattr(stored.recipe, "name", stored.recipe), recipe)
    return changed


def with_flips(recipe: Recipe, flips: bool) -> Recipe:
    """The recipe, with mirrored images among what D sees if `flips`."""
    if not flips:
        return recipe
    flipping = recipe.augment.model_copy(update={"flips": True})
    return recipe.model_copy(update={"augment": flipping})


def _check_allowed(run: Path, resume: bool, overwrite: bool) -> None:
    there = {entry.name for entry in run.iterdir()} - {LOCK_FILE}
    if resume:
        if not _is_run(run):
            raise ResumeMismatchError(f"{str(run)!r} holds no run to resume; leave out --resume")
    elif there and not overwrite:
        raise OutputExistsError(
            f"{str(run)!r} is not empty. Choose another --out, or --resume to go on with its run, "
            "or --overwrite to replace it."
        )
    elif there and not _is_run(run):
        raise OutputExistsError(
            f"{str(run)!r} holds no run, and --overwrite replaces only runs. Choose another --out."
        )


def _is_run(run: Path) -> bool:
    """Whether the folder's config.toml is one of ours; a project may have a file of that name."""
    if not (run / CONFIG).is_file():
        return False
    try:
        values = read_toml(run / CONFIG)
    except UsageError:
        return False
    return all(isinstance(values.get(table), dict) for table in _TABLES)


def _other(run: Path, name: str, theirs: object, mine: object) -> ResumeMismatchError:
    shown = getattr(mine, "name", mine)
    return ResumeMismatchError(
        f"{str(run)!r} was begun with {name} = {theirs!r}, not {shown!r}; leave it out, start a "
        "new run, or give --force."
    )


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
