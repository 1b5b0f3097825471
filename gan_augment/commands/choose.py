"""`choose`: try recipes on the data, and write the winner's settings and samples."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gan_augment.commands.source import IMAGES_A_CLASS, Source, read_data
from gan_augment.commands.writing import (
    SAMPLES,
    Result,
    folder_to_write,
    next_command,
    run_folder,
)
from gan_augment.data.images.contact_sheet import SheetRow, contact_sheet
from gan_augment.data.images.png_folder import png_bytes
from gan_augment.errors import UsageError
from gan_augment.generators.choose import choose_recipe, held_out
from gan_augment.generators.generator import RunContext
from gan_augment.options import FitOptions, with_options
from gan_augment.progress import Progress
from gan_augment.recipes import CANDIDATES, RECIPES, Recipe, resolve_recipe
from gan_augment.settings import to_toml
from gan_augment.storage.files import write_file
from gan_augment.training.callbacks import interruptible, stop_on_signals

CHOICE, RECIPE, SCORES = "choice.json", "recipe.toml", "scores.png"


class ChoiceResult(Result):
    """The folder, the content of choice.json, and the recipe; None after too short fits."""

    out: Path
    winner: str | None
    why: str
    found: dict[str, Any]

    def lines(self) -> list[str]:
        import pandas as pd

        trials = pd.DataFrame(self.found["trials"])
        table = trials.groupby("recipe")[["steps", "score"]].mean().round(4)
        table.insert(0, "ms a step", pd.Series(self.found["step_ms"]))
        shown = table.sort_values("score").to_string(na_rep="").splitlines()
        shown.append(f"{self.winner}: {self.why}" if self.winner else self.why)
        pictures = [str(self.out / one) for one in (SCORES, SAMPLES) if (self.out / one).is_file()]
        return [*shown, f"look at {' and '.join(pictures)}"]


def choose(
    data: str | Path,
    out: str | Path | None = None,
    options: FitOptions | None = None,
    *,
    recipes: str | Sequence[str] = (),
    overwrite: bool = False,
    progress: Progress | None = None,
) -> ChoiceResult:
    """Fit recipes on a part of the rows for the same time each, and name the best.

    - data, options: As in `fit`; `budget` is the time of all trials, 20 minutes if it is None.
    - out: The folder, by default `choices/<name of data>`, then `-2`, `-3`.
    - recipes: Names and .toml files, or "all"; empty for the usual ones.
    - overwrite, progress: Replace an earlier choice in `out`; show progress and notes.

    Raises GanAugmentError, StopRequested (after Ctrl-C and SIGTERM nothing is written).
    """
    from gan_augment.report.charts import scores_by_time

    started_s, progress = time.monotonic(), progress or Progress()
    options = options or FitOptions()
    budget_s = options.budget or 1200.0
    options = options.model_copy(update={"budget": budget_s})
    folder = folder_to_write(data, out, "choices", progress=progress)
    chosen, kind = _recipes(recipes, options), read_data(data, options, progress)
    held = run_folder(
        folder, resume=False, overwrite=overwrite, ours=lambda run: (run / CHOICE).is_file()
    )
    with held:
        for line in _lines(kind, chosen, folder):
            progress.note(line)
        with interruptible(lambda: "start again; nothing was kept"), stop_on_signals() as stop:
            run = RunContext(progress=progress, stop=stop, started_s=started_s)
            found, models = choose_recipe(
                kind.generator(), kind.data, chosen, run, budget_s, schema=kind.schema
            )
            found |= {"budget_s": budget_s, "data": str(data), **kind.facts()}
        if not kind.data.kind.tabular:
            write_file(folder / SAMPLES, _samples(kind, found, models))
        write_file(folder / SCORES, scores_by_time(found["trials"]))
        found["seconds"] = round(time.monotonic() - started_s, 1)
        winner = chosen.get(found["winner"])
        if winner:
            write_file(folder / RECIPE, to_toml(winner.model_dump(mode="json")).encode())
        else:
            (folder / RECIPE).unlink(missing_ok=True)  # of the choice that is replaced
        write_file(folder / CHOICE, (json.dumps(found, indent=1) + "\n").encode())
    then = {"recipes": ",".join(found["ranked"]), "budget": found["longer"]}  # a longer choice
    following = next_command("choose", data, target=options.target, **then)
    if winner:
        following = next_command("fit", data, target=options.target, recipe=folder / RECIPE)
    said = {name: found[name] for name in ("winner", "why")}
    return ChoiceResult(out=folder, found=found, following=following, **said)


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
    chosen, kind = _recipes(recipes, options), read_data(data, options)
    held_out(kind.data, kind.topped_up, options.seed)
    values = {"recipes": [*chosen], "folder": str(folder)}
    return _lines(kind, chosen, folder), values | {"topped_up": [*kind.topped_up], **kind.facts()}


def _lines(kind: Source, chosen: Mapping[str, Recipe], folder: Path) -> list[str]:
    return [
        kind.line(),
        f"topped up: {', '.join(kind.topped_up)}",
        f"choosing among {', '.join(chosen)}; folder {folder}",
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


def _samples(kind: Source, found: Mapping[str, Any], models: Mapping[str, Any]) -> bytes:
    """Return a PNG file: real images and samples of each recipe, by class."""
    sheet, data = [], kind.data
    for name in kind.topped_up:
        own = data.take(np.flatnonzero(data.labels == data.names.index(name))[:IMAGES_A_CLASS])
        for recipe in filter(models.get, found["ranked"]):
            made = models[recipe].rows(name, 0, IMAGES_A_CLASS).pixels
            first, *_ = models[recipe].meta_.quality_lines()
            sheet.append(SheetRow(name, f"{recipe}; {first}", own.pixels, made))
    return png_bytes(contact_sheet(sheet))
