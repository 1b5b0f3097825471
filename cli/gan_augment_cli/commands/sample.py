"""`gan-augment sample`: images, or rows of a table, from a trained run."""

from __future__ import annotations

from typing import Annotated

import typer

from gan_augment import workflows
from gan_augment_cli import options as o
from gan_augment_cli import outcome
from gan_augment_cli.console import shown_progress


def sample(
    ctx: typer.Context,
    run: o.RunFolder,
    out: o.OutFolder,
    counts: Annotated[
        str | None,
        o.option("--counts", "100, or owl=30,wren=20.  [default: what tops the rare classes up]"),
    ] = None,
    classes: Annotated[
        str | None,
        o.option("--classes", "Names with commas, or all.  [default: those of the fit]"),
    ] = None,
    seed: o.Seed = 0,
    workers: o.Workers = None,
    mark: o.Mark = False,
    escape_formulas: o.EscapeFormulas = False,
    resume: o.Resume = False,
    overwrite: o.Overwrite = False,
    config: o.Config = None,
    dry_run: o.DryRun = False,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
) -> None:
    """Draw images, or rows of a table, from a trained run.

    Writes OUT/<class>/000000.png, ... and OUT/manifest.csv; or of a table the file OUT, .csv or
    .parquet, and OUT.manifest.csv.
    """
    with outcome.exit_codes(ctx):
        target_counts = None if counts is None else o.read(counts, o.row_counts, "--counts")
        if dry_run:
            outcome.print_plan(ctx)
            return
        with shown_progress(quiet=quiet) as progress:
            result = workflows.sample(
                run,
                out,
                counts=target_counts,
                classes=classes,
                seed=seed,
                workers=workers,
                mark=mark,
                escape_formulas=escape_formulas,
                resume=resume,
                overwrite=overwrite,
                progress=progress,
            )
        outcome.print_result(ctx, result, out)
