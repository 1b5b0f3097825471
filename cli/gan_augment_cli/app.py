"""The command `gan-augment`: which commands there are. What each does is in `commands/`."""

from __future__ import annotations

import sys
from io import TextIOWrapper
from typing import Annotated

import typer

import gan_augment
from gan_augment_cli.commands import augment, demo, doctor, evaluate, fit, inspect, report, sample

app = typer.Typer(
    name="gan-augment",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done, 1 failed, 2 usage, 3 data unusable, 4 --fail-on met, "
    "5 training diverged, 74 write failed, 75 folder in use, 130 or 143 interrupted. "
    "An option wins over GAN_AUGMENT_<OPTION>, that over --config, that over the default; "
    "--dry-run shows which it was.",
)
COMMANDS = (
    augment.augment,
    fit.fit,
    sample.sample,
    evaluate.evaluate,
    report.report,
    inspect.inspect,
    doctor.doctor,
    demo.demo,
)
for command in COMMANDS:
    app.command()(command)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(gan_augment.__version__)
        raise typer.Exit


@app.callback()
def _about(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="And leave.")
    ] = False,
) -> None:
    """Top up rare classes of labelled images or tables with samples of a GAN trained on them.

    Start with:  gan-augment augment DATA OUT
    """


def main() -> None:
    """Run the command line; names that the terminal cannot show are escaped, never an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    app(prog_name="gan-augment")
