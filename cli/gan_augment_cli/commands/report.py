"""`gan-augment report`: the result of an evaluation as a page that one sends to a colleague."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gan_augment_cli import options as o
from gan_augment_cli import outcome


def report(
    result: Annotated[
        Path,
        typer.Argument(
            metavar="RESULT",
            show_default=False,
            help="The folder that evaluate wrote, or its result.json.",
        ),
    ],
    out: Annotated[
        Path | None,
        o.option("--out", "The file to write (.html).  [default: report.html beside RESULT]"),
    ] = None,
    overwrite: Annotated[bool, o.option("--overwrite", "Replace an earlier report.")] = False,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
) -> None:
    """Write RESULT as one page of HTML: the verdict in plain words, then why.

    The file needs nothing else: no script, no connection. evaluate writes it too.
    """
    with outcome.exit_codes("report", as_json=as_json):
        from gan_augment import workflows

        written = workflows.report(result, out, overwrite=overwrite)
    outcome.print_result("report", written, written.out, as_json=as_json, quiet=quiet)
