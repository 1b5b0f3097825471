"""`choose`: try recipes on the data in rounds, and write the winner's settings and its samples."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from gan_augment.commands.source import IMAGES_A_CLASS, Source, read_data
from gan_augment.commands.writing import (
    SAMPLES,
    Result,
    folder_to_write,
    remove_named,
    run_folder,
)
from gan_augment.data.images.contact_sheet import SheetRow, contact_sheet
from gan_augment.data.images.png_folder import png_bytes
from gan_augment.errors import DataError, ResumeMismatchError, UsageError
from gan_augment.generators import load_model
from gan_augment.generators.choose import (
    KEY,
    Task,
    aligned,
    choose_recipe,
    held_out,
    held_out_score,
    round_sizes,
)
from gan_augment.generators.generator import RunContext
from gan_augment.input_files import read_regular
from gan_augment.options import FitOptions, with_options
from gan_augment.progress import Progress
from gan_augment.recipes import (
    CANDIDATES,
    RECIPES,
    Recipe,
    check_unlabelled,
    resolve_recipe,
    takes_unlabelled,
)
from gan_augment.settings import to_toml
from gan_augment.storage import write_file
from gan_augment.storage.bundle import SUFFIX
from gan_augment.storage.journal import Journal
from gan_augment.training.callbacks import interruptible, stop_on_signals

JOURNAL, TRIALS, CHOICE, RECIPE = "journal.jsonl", "trials", "choice.json", "recipe.toml"
FILES = (TRIALS, CHOICE, RECIPE, SAMPLES, JOURNAL)


@dataclass(frozen=True)
class ChoiceResult(Result):
    """The chosen recipe, the reason, and the folder. found: the content of choice.json.

    unlabelled: whether the winner uses rows without a class.
    """

    out: Path
    winner: str
    why: str
    found: Mapping[str, Any]
    unlabelled: bool = False

    def lines(self) -> list[str]:
        """Return the table of trials and the winner for people."""
        table = aligned(self.found["table"])
        return [*table, f"{self.winner}: {self.why}", f"the recipe: {self.out / RECIPE}"]


def choose(
    data: str | Path,
    out: str | Path | None = None,
    options: FitOptions | None = None,
    *,
    recipes: str | Sequence[str] = (),
    resume: bool = False,
    overwrite: bool = False,
    force: bool = False,
    progress: Progress | None = None,
) -> ChoiceResult:
    """Fit recipes on a part of the rows, drop the worse half in each round, and name the best.

    Parameters
    ----------
    data, options
        As in `fit`; `budget_s` is the time of all trials, 20 minutes if it is None.
    out
        The folder, by default `choices/<name of data>`, then `-2`, `-3`.
    recipes
        Names and .toml files, or "all"; empty for the usual ones.
    resume, overwrite, force
        Continue what `out` began; replace it; begin although the budget is too short.
    progress
        Shows progress and notes.

    Raises
    ------
    GanAugmentError
        The errors of `gan_augment.errors`.
    StopRequested
        After Ctrl-C and SIGTERM; finished trials are kept.
    """
    started_s, progress = time.monotonic(), progress or Progress()
    options = options or FitOptions()
    folder = folder_to_write(data, out, "choices", resume=resume)
    chosen, kind = _inputs(data, options, recipes, progress)
    budget_s = options.budget_s or 1200.0
    hint = "finished trials were kept; the same command with --out and --resume goes on"
    with run_folder(folder, resume=resume, overwrite=overwrite, ours=_is_choice):
        journal = _journal(folder, kind, chosen, options, resume)
        for line in _lines(kind, chosen, folder):
            progress.note(line)
        with interruptible(lambda: hint), stop_on_signals() as stop:
            run = RunContext(progress=progress, stop=stop, started_s=started_s)
            found = _tried(folder, kind, chosen, journal, run, budget_s, force)
            found |= {"budget_s": budget_s, "data": str(data), **kind.facts()}
            if not kind.data.kind.tabular:
                _write_samples(folder, kind, found)
        found["seconds"] = round(time.monotonic() - started_s, 1)
        winner = chosen[found["winner"]]
        write_file(folder / CHOICE, (json.dumps(found, indent=1) + "\n").encode())
        write_file(folder / RECIPE, to_toml(winner.model_dump(mode="json")).encode())
    return ChoiceResult(
        folder, found["winner"], found["why"], found, unlabelled=takes_unlabelled(winner)
    )


def _tried(
    folder: Path,
    kind: Source,
    chosen: Mapping[str, Recipe],
    journal: Journal,
    run: RunContext,
    budget_s: float,
    force: bool,
) -> dict[str, Any]:
    """Run the rounds, and return the content of choice.json. A refusal leaves no empty folder."""
    usual = kind.options.model_copy(update={"recipe": "auto"})
    arguments = kind.fit_arguments()
    schema = arguments.get("schema")

    def save(gan: Any, name: str) -> None:
        gan.save(folder / TRIALS / f"{name}{SUFFIX}")

    task = Task(
        prototype=replace(kind, options=usual).generator(),
        data=kind.data,
        recipes=chosen,
        run=run,
        most=max(one.steps for one in chosen.values()),
        budget_s=budget_s,
        journal=journal,
        save=save,
        force=force,
        unlabelled=arguments.pop("unlabelled", None),
        arguments=arguments,
    )
    try:
        return choose_recipe(
            task, lambda train, held: held_out_score(train, held, kind.topped_up, schema)
        )
    except (DataError, UsageError):
        if not any(line["kind"] == "trial" for line in journal.lines()):
            remove_named(folder, FILES)  # there is nothing to continue
        raise


def plan_choice(
    data: str | Path,
    out: str | Path | None = None,
    options: FitOptions | None = None,
    *,
    recipes: str | Sequence[str] = (),
) -> tuple[list[str], dict[str, Any]]:
    """Return what `choose` would try, in lines for people and as values. Writes nothing."""
    options = options or FitOptions()
    folder = folder_to_write(data, out, "choices")
    chosen, kind = _inputs(data, options, recipes, Progress())
    held_out(kind.data, kind.topped_up, options.seed)
    values = {"recipes": [*chosen], "rounds": round_sizes(len(chosen)), "folder": str(folder)}
    return _lines(kind, chosen, folder), values | {"topped_up": [*kind.topped_up], **kind.facts()}


def _inputs(
    data: str | Path, options: FitOptions, recipes: str | Sequence[str], progress: Progress
) -> tuple[dict[str, Recipe], Source]:
    """Return the recipes by name, and the data, unlabelled rows as for the first that uses them."""
    chosen = _recipes(recipes, options)
    if options.unlabelled is not None:
        taker = next((one for one in chosen.values() if takes_unlabelled(one)), None)
        if taker is None:
            check_unlabelled(next(iter(chosen.values())))
        options = options.model_copy(update={"recipe": taker})
    return chosen, read_data(data, options, progress)


def _journal(
    folder: Path, kind: Source, chosen: Mapping[str, Recipe], options: FitOptions, resume: bool
) -> Journal:
    """Begin the journal of a choice, or read it. Raises ResumeMismatchError for another header."""
    header = {
        "kind": "header",
        "recipes": {name: one.model_dump(mode="json") for name, one in chosen.items()},
        "topped_up": list(kind.topped_up),
        "seed": options.seed,
        "threads": options.threads or 1,
        "data_sha256": kind.sha256,
    }
    journal = Journal(folder / JOURNAL, KEY)
    if not resume:
        remove_named(folder, FILES)
        journal.append(header)
        return journal
    journal.read()
    if journal.header != json.loads(json.dumps(header)):
        raise ResumeMismatchError(
            f"{str(folder)!r} was begun with other data or settings; give the same as then, or "
            "--overwrite, or another --out."
        )
    return journal


def _lines(kind: Source, chosen: Mapping[str, Recipe], folder: Path) -> list[str]:
    sizes = ", then ".join(map(str, round_sizes(len(chosen))))
    return [
        kind.line(),
        f"topped up: {', '.join(kind.topped_up)}",
        f"choosing among {', '.join(chosen)}; rounds of {sizes}; folder {folder}",
    ]


def _recipes(recipes: str | Sequence[str], options: FitOptions) -> dict[str, Recipe]:
    """Return the recipes to try, by name, changed by the options.

    "all" omits recipes whose samples start from real rows, since these are not comparable. Raises
    UsageError for such a recipe, and for fewer than two recipes.
    """
    kind = options.data_kind
    if recipes == "all" or list(recipes) == ["all"]:
        names: Sequence[str] = [n for n, r in RECIPES[kind].items() if not r.generator.from_rows]
    else:
        names = [recipes] if isinstance(recipes, str) else recipes or CANDIDATES[kind]
    chosen = {
        one.name: with_options(one, options)
        for one in (resolve_recipe(name, options.data_kind) for name in names)
    }
    if from_rows := [name for name, one in chosen.items() if one.generator.from_rows]:
        raise UsageError(
            f"--recipes {from_rows[0]}: its samples start from real rows and are as many as "
            "these, and choose compares recipes that draw any number; `translate` draws them."
        )
    if len(chosen) < max(2, len(names)):
        raise UsageError(f"--recipes {','.join(names)}: expected two or more, each once")
    return chosen


def _is_choice(folder: Path) -> bool:
    file, start = folder / JOURNAL, b'{"kind": "header", "recipes"'
    return file.is_file() and read_regular(file).startswith(start)


def _write_samples(folder: Path, kind: Source, found: Mapping[str, Any]) -> None:
    """Write samples.png: real images and samples of the last rounds, by class and recipe."""
    last = {trial["recipe"]: trial for trial in found["trials"] if trial["score"] is not None}
    named = [name for one in found["rounds"][-2:] for name in one["recipes"] if name in last]
    trials = [last[name] for name in dict.fromkeys(named)]
    names = ["-".join(quote(str(one[key]), "") for key in KEY) + SUFFIX for one in trials]
    gans: list[Any] = [load_model(folder / TRIALS / name, threads=1) for name in names]
    data: Any = kind.data
    sheet = []
    for name in kind.topped_up:
        own = data.take(np.flatnonzero(data.labels == data.names.index(name))[:IMAGES_A_CLASS])
        for trial, gan in zip(trials, gans, strict=True):
            note = f"{trial['recipe']}, {trial['steps']} steps"
            made = gan.rows(name, 0, IMAGES_A_CLASS).pixels
            sheet.append(SheetRow(name, note, own.pixels, made))
    write_file(folder / SAMPLES, png_bytes(contact_sheet(sheet)))
