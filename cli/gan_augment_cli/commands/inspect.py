"""`gan-augment inspect`: what a data set holds, or what a run is. Only pictures load torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gan_augment.errors import UsageError
from gan_augment_cli import options as o
from gan_augment_cli import outcome
from gan_augment_cli.console import shown_progress


def inspect(
    ctx: typer.Context,
    path: Annotated[
        Path,
        typer.Argument(metavar="PATH", show_default=False, help="DATA, or the folder of a RUN."),
    ],
    target: o.Target = None,
    categorical: o.Categorical = None,
    numeric: o.Numeric = None,
    datetime: o.Datetime = None,
    id: o.Ids = None,  # noqa: A002  (the name of the option)
    schema: o.Schema = None,
    samples: Annotated[
        bool,
        o.option(
            "--samples",
            "Draw what a RUN's selection keeps and rejects, and why: RUN/candidates.png.",
        ),
    ] = False,
    out: Annotated[
        Path | None, o.option("--out", "With --samples: another name, a new file (.png).")
    ] = None,
    workers: o.Workers = None,
    skip_bad: o.SkipBad = False,
    as_json: o.AsJson = False,
) -> None:
    """Say what is in DATA, or what a RUN is.

    DATA: classes and counts, which are rare and why, sizes, duplicates, files that cannot be read;
    of a table its columns as a model would learn them.
    RUN: classes, sizes or columns, recipe, scores, and whether the model contains training rows.
    """
    with outcome.exit_codes("inspect", as_json=as_json), shown_progress(quiet=as_json) as progress:
        from gan_augment import workflows

        is_run = _is_run(path)
        if samples and not is_run:
            raise UsageError(f"--samples is of a run, and {str(path)!r} is none")
        if out is not None and not samples:
            raise UsageError("--out names the picture of --samples; add that, or leave it out")
        report = (
            workflows.inspect_run(path, samples=samples, out=out)
            if is_run
            else workflows.inspect_data(
                path,
                target=target,
                columns=o.column_kinds(ctx),
                workers=workers,
                skip_bad=skip_bad,
                progress=progress,
            )
        )
    outcome.print_report("inspect", report, as_json=as_json)


def _is_run(path: Path) -> bool:
    return (path / "config.toml").is_file() or (path / "model" / "manifest.json").is_file()
