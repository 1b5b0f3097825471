"""The command `gan-augment`; each of its commands is built on first use."""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata
from io import TextIOWrapper
from typing import Annotated

import typer

import gan_augment
from gan_augment.errors import did_you_mean
from gan_augment_cli import outcome
from gan_augment_cli.commands import augment, evaluate, inspect
from gan_augment_cli.console import WarningsOnly
from gan_augment_cli.options import variables

outcome.Commands.functions = {
    function.__name__: function
    for function in (
        augment.augment,
        augment.fit,
        augment.sample,
        augment.translate,
        augment.embed,
        evaluate.evaluate,
        evaluate.report,
        inspect.inspect,
        evaluate.choose,
        inspect.recipes,
        inspect.doctor,
        inspect.demo,
    )
}
app = typer.Typer(
    name="gan-augment",
    cls=outcome.Commands,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done, 1 failed, 2 usage, 3 data unusable, 4 --fail-on met, "
    "5 training diverged, 74 write failed, 75 folder in use, 130 or 143 interrupted. "
    "An option wins over GAN_AUGMENT_<OPTION>, that over --config, that over the default; "
    "--dry-run shows the source of each.",
)


def _show_version(version: bool) -> None:
    if version:
        parts = {"gan-augment": gan_augment.__version__, "torch": metadata.version("torch")}
        parts["Python"] = platform.python_version()
        typer.echo(", ".join(f"{name} {number}" for name, number in parts.items()))
        raise typer.Exit


def _warn_of_unknown() -> None:
    """Warn about GAN_AUGMENT_* environment variables that set no option."""
    given = [name for name in sorted(os.environ) if name.startswith("GAN_AUGMENT_")]
    if not given:
        return
    known = {outcome.DEBUG}
    known.update(*map(variables, outcome.Commands.functions.values()))
    for name in given:
        if name not in known:
            guess = did_you_mean(name, sorted(known))
            WarningsOnly().warn(f"{name} in the environment has no meaning.{guess}")


@app.callback()
def _about(
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_show_version, help="Show versions and exit."
        ),
    ] = False,
) -> None:
    """Top up rare classes of labelled images, signals or tables with generated rows.

    Start with:  gan-augment augment DATA OUT
    """
    _warn_of_unknown()


def main() -> None:
    """Run the command line; characters that the terminal cannot show are escaped."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    app(prog_name="gan-augment")
