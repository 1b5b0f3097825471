"""`gan-augment doctor`: whether everything works here, and how fast."""

from __future__ import annotations

import typer

from gan_augment_cli import options as o
from gan_augment_cli import outcome
from gan_augment_cli.console import shown_progress


def doctor(as_json: o.AsJson = False) -> None:
    """Say what is installed, what is missing and how to get it, and how fast training is here.

    Versions, device, precision and threads with timings of a real training step, which
    albumentations answers, and the cache folder. Exits with 1 if something needed does not work.
    """
    with outcome.exit_codes("doctor", as_json=as_json), shown_progress(quiet=as_json) as progress:
        from gan_augment import workflows

        found = workflows.doctor(progress)
    outcome.print_report("doctor", found, as_json=as_json)
    if not found.healthy:
        raise typer.Exit(1)
