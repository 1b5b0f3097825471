"""`gan-augment fit`: train on labelled images or a table."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from gan_augment import workflows
from gan_augment_cli import options as o
from gan_augment_cli import outcome
from gan_augment_cli.console import shown_progress


def fit(
    ctx: typer.Context,
    data: o.Data,
    out: Annotated[
        Path | None, o.option("--out", "The run's folder.  [default: runs/<name of DATA>]")
    ] = None,
    target: o.Target = None,
    categorical: o.Categorical = None,
    numeric: o.Numeric = None,
    datetime: o.Datetime = None,
    id: o.Ids = None,  # noqa: A002  (the name of the option)
    schema: o.Schema = None,
    classes: o.Classes = "rare",
    recipe: o.RecipeName = "auto",
    steps: o.Steps = None,
    budget: o.Budget = None,
    image_size: o.ImageSize = None,
    resize: o.Resize = "squeeze",
    flips: o.Flips = False,
    selection: o.Selection = True,
    seed: o.Seed = 0,
    device: o.Device = "auto",
    precision: o.Precision = "auto",
    threads: o.Threads = None,
    workers: o.Workers = None,
    skip_bad: o.SkipBad = False,
    resume: o.Resume = False,
    overwrite: o.Overwrite = False,
    force: Annotated[
        bool, o.option("--force", "Resume although the data or the settings changed.")
    ] = False,
    config: o.Config = None,
    dry_run: o.DryRun = False,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
) -> None:
    """Train a class-conditional GAN on DATA.

    Prints the folder of the run: its model, settings, history and samples (samples.png,
    or samples.csv of a table).
    """
    with outcome.exit_codes(ctx):
        settings = o.fit_options(ctx)
        if dry_run:
            plan = workflows.plan_fit(data, settings, out)
            outcome.print_plan(ctx, plan.lines(), plan=plan.to_dict())
            return
        with shown_progress(quiet=quiet) as progress:
            result = workflows.fit(
                data,
                out,
                settings,
                resume=resume,
                overwrite=overwrite,
                force=force,
                progress=progress,
            )
        outcome.print_result(ctx, result, result.run)
        run, out_name = shlex.quote(str(result.run)), f"OUT{data.suffix if target else ''}"
        again = f"gan-augment augment {shlex.quote(str(data))} {out_name} --model {run}"
        outcome.print_next(ctx, again)
