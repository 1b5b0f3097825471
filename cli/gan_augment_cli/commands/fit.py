"""`gan-augment fit`: train on labelled images."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from gan_augment_cli import options as o
from gan_augment_cli import outcome
from gan_augment_cli.console import shown_progress


def fit(
    ctx: typer.Context,
    data: o.Data,
    out: Annotated[
        Path | None, o.option("--out", "The run's folder.  [default: runs/<name of DATA>]")
    ] = None,
    classes: o.Classes = "rare",
    recipe: o.RecipeName = "auto",
    steps: o.Steps = None,
    budget: o.Budget = o.DEFAULT_BUDGET,
    image_size: o.ImageSize = None,
    resize: o.Resize = "squeeze",
    flips: o.Flips = False,
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

    Prints the folder of the run: its model, settings, history and samples.png.
    """
    with outcome.exit_codes("fit", as_json=as_json):
        settings = o.fit_options(ctx)
        if dry_run:
            outcome.print_plan("fit", ctx, data, settings, out, as_json=as_json)
            return
        with shown_progress(quiet=quiet) as progress:
            from gan_augment import workflows

            result = workflows.fit(
                data,
                out,
                settings,
                resume=resume,
                overwrite=overwrite,
                force=force,
                progress=progress,
            )
        outcome.print_result("fit", result, result.run, as_json=as_json, quiet=quiet)
        if not (quiet or as_json):
            run = shlex.quote(str(result.run))
            outcome.print_next(f"gan-augment augment {shlex.quote(str(data))} OUT --model {run}")
