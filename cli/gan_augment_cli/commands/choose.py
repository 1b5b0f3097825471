"""`gan-augment choose`: which recipe suits this data."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Literal

import typer

from gan_augment_cli import options as o
from gan_augment_cli import outcome
from gan_augment_cli.console import shown_progress


def choose(
    ctx: typer.Context,
    data: o.Data,
    out: Annotated[
        Path | None, o.option("--out", "The folder to write.  [default: choices/<name of DATA>]")
    ] = None,
    recipes: Annotated[
        str, o.option("--recipes", "Names or .toml files with commas, or all.  [default: five]")
    ] = "",
    budget: Annotated[str, o.option("--budget", "Of all of it (90s, 20m, 1h).")] = "20m",
    metric: Annotated[
        Literal["score", "downstream"],
        o.option(
            "--metric",
            "On held-out rows: score, how near samples are; downstream, what they add to a "
            "classifier's balanced accuracy.",
        ),
    ] = "score",
    target: o.Target = None,
    categorical: o.Categorical = None,
    numeric: o.Numeric = None,
    datetime: o.Datetime = None,
    id: o.Ids = None,  # noqa: A002  (the name of the option)
    schema: o.Schema = None,
    classes: o.Classes = "rare",
    unlabelled: o.Unlabelled = None,
    image_size: o.ImageSize = None,
    resize: o.Resize = "squeeze",
    window: o.Window = None,
    flips: o.Flips = False,
    seed: o.Seed = 0,
    device: o.Device = "auto",
    precision: o.Precision = "auto",
    threads: o.Threads = None,
    workers: o.Workers = None,
    skip_bad: o.SkipBad = False,
    resume: o.Resume = False,
    overwrite: o.Overwrite = False,
    force: Annotated[bool, o.option("--force", "Begin although the budget is too short.")] = False,
    config: o.Config = None,
    dry_run: o.DryRun = False,
    verbose: o.Verbose = False,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
) -> None:
    """Try recipes on DATA and name the one that suits it.

    Fits them on three quarters of the rows and compares them on the others, in rounds of half the
    recipes and twice the steps. Writes --out: recipe.toml for --recipe, choice.json, the trials,
    and samples.png for images.
    """
    from gan_augment.commands.choose import choose as run_choose
    from gan_augment.commands.choose import plan_choice

    with outcome.exit_codes(ctx):
        from gan_augment.options import FitOptions
        from gan_augment.settings import COMMAND_LINE

        settings = FitOptions.checked(o.fit_settings(ctx) | {"budget_s": budget}, COMMAND_LINE)
        if dry_run:
            lines, values = plan_choice(data, out, settings, recipes=o.names(recipes))
            outcome.print_plan(ctx, lines, plan=values)
            return
        with shown_progress(quiet=quiet) as progress:
            result = run_choose(
                data,
                out,
                settings,
                recipes=o.names(recipes),
                metric=metric,
                resume=resume,
                overwrite=overwrite,
                force=force,
                progress=progress,
            )
        outcome.print_result(ctx, result, result.out)
        column = f" --target {shlex.quote(target)}" if target else ""
        taken = f" --recipe {shlex.quote(str(result.out / 'recipe.toml'))}"
        if unlabelled and result.unlabelled:
            taken += f" --unlabelled {shlex.quote(unlabelled)}"
        outcome.print_next(ctx, f"gan-augment fit {shlex.quote(str(data))}{column}{taken}")
