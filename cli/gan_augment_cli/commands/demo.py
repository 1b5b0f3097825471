"""`gan-augment demo`: the main job on scikit-learn's digits or cells, and whether it helped."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gan_augment_cli import options as o
from gan_augment_cli import outcome
from gan_augment_cli.console import shown_progress


def demo(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The folder to write.")] = Path("demo"),
    table: Annotated[
        bool, o.option("--table", "A table of cancer cells instead of digits.")
    ] = False,
    seconds: Annotated[float, o.option("--seconds", "Of training on the digits.", min=1)] = 90.0,
    steps: o.Steps = None,
    seeds: Annotated[
        int | None,
        o.option("--seeds", "Repetitions of the comparison.  [default: 3; of a table 5]", min=1),
    ] = None,
    overwrite: o.Overwrite = False,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
) -> None:
    """The main job on scanned digits or a table, measured.

    Cuts three classes of scikit-learn's digits to 20 rows, or the malignant cells of its
    breast-cancer table to 25, tops them up, and trains a classifier with and without, to say
    whether it helped.
    """
    with outcome.exit_codes("demo", as_json=as_json):
        with shown_progress(quiet=quiet) as progress:
            from gan_augment import workflows

            result: outcome.Reportable
            if table:
                result = workflows.demo_table(
                    out, steps=steps, seeds=seeds or 5, overwrite=overwrite, progress=progress
                )
            else:
                result = workflows.demo(
                    out,
                    seconds=seconds,
                    steps=steps,
                    seeds=seeds or 3,
                    overwrite=overwrite,
                    progress=progress,
                )
        outcome.print_result("demo", result, out, as_json=as_json, quiet=quiet)
