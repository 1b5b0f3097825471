"""`gan-augment inspect`: what a data set holds, or what a run is. Only pictures load torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from gan_augment.errors import UsageError
from gan_augment.input_files import check_there
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
    window: o.Window = None,
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
    against: Annotated[
        Path | None,
        o.option(
            "--against",
            "Compare what a RUN draws with these labelled data: diagnostics, floors, caveats.",
        ),
    ] = None,
    extractor: Annotated[
        str | None,
        o.option(
            "--extractor",
            "With --against: path.py:name of a torch module, or a function of rows that gives "
            "features (n, d).",
        ),
    ] = None,
    seed: o.Seed = 0,
    workers: o.Workers = None,
    skip_bad: o.SkipBad = False,
    verbose: o.Verbose = False,
    as_json: o.AsJson = False,
) -> None:
    """Say what is in DATA, or what a RUN is.

    DATA: classes and counts, which are rare and why, sizes, duplicates, files that cannot be read;
    of a table its columns as a model would learn them.
    RUN: classes, sizes or columns, recipe, scores, and whether the model contains training rows.
    RUN --against DATA: how its samples differ from real rows, by class.
    """
    from gan_augment.commands.compare_model import inspect_against
    from gan_augment.commands.inspect import inspect_data, inspect_run

    with outcome.exit_codes(ctx), shown_progress(quiet=as_json) as progress:
        check_there(path, "DATA, or the folder of a run")
        is_run = _is_run(path)
        _check_together(ctx, is_run)
        report: Any
        if against is not None:
            report = inspect_against(
                path,
                against,
                columns=o.column_kinds(ctx),
                extractor=extractor,
                seed=seed,
                workers=workers,
                skip_bad=skip_bad,
                progress=progress,
            )
        elif is_run:
            report = inspect_run(path, samples=samples, out=out)
        else:
            report = inspect_data(
                path,
                target=target,
                columns=o.column_kinds(ctx),
                workers=workers,
                window=window,
                skip_bad=skip_bad,
                progress=progress,
            )
    outcome.print_report(ctx, report)


def _check_together(ctx: typer.Context, is_run: bool) -> None:
    """Raise UsageError for options that do not go with what is inspected, or with each other."""
    params = ctx.params
    for name in ("samples", "against"):
        if params[name] and not is_run:
            raise UsageError(f"--{name} is of a run, and {str(params['path'])!r} is none")
    if params["out"] is not None and not params["samples"]:
        raise UsageError("--out names the picture of --samples; add that, or leave it out")
    if params["extractor"] is not None and params["against"] is None:
        raise UsageError("--extractor is of --against DATA; add that, or leave it out")
    if params["samples"] and params["against"] is not None:
        raise UsageError("--samples and --against are two looks at a run; ask for one of them")


def _is_run(path: Path) -> bool:
    return (path / "config.toml").is_file() or (path / "model" / "manifest.json").exists()
