"""The command `gan-augment`; each of its commands is built on first use."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import metadata
from io import TextIOWrapper
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command_from_info
from typer.models import CommandInfo

import gan_augment
from gan_augment.errors import command_line
from gan_augment_cli import outcome
from gan_augment_cli.commands import augment, evaluate, inspect
from gan_augment_cli.console import printable
from gan_augment_cli.options import PANELS, expand

FUNCTIONS: dict[str, Callable[..., None]] = {
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


class Command(TyperCommand):
    """A command whose `--help` has its options in panels."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the panels of `options.PANELS`."""
        panel_of = {name: panel for panel, names in PANELS.items() for name in names.split()}
        panels: dict[str, list[tuple[str, str]]] = {panel: [] for panel in PANELS}
        for param in self.get_params(ctx):
            if record := param.get_help_record(ctx):
                panels[panel_of.get(str(param.name), "Output")].append(record)
        for panel, records in panels.items():
            if records:
                with formatter.section(panel):
                    formatter.write_dl(records)


class Commands(TyperGroup):
    """The commands, each built on demand and ended with an exit code."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names in the order of the help."""
        return list(FUNCTIONS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Build a command; for an unknown name build all, so that the error can suggest one."""
        for name in (cmd_name,) if cmd_name in FUNCTIONS else FUNCTIONS:
            if name not in self.commands:
                function = expand(FUNCTIONS[name], outcome.exit_codes)
                self.commands[name] = get_command_from_info(
                    CommandInfo(name, cls=Command, callback=function),
                    pretty_exceptions_short=False,
                    rich_markup_mode=None,
                )
        return self.commands.get(cmd_name)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """List the commands with the first line of their help, without building them."""
        with formatter.section("Commands"):
            formatter.write_dl(
                [(n, str(f.__doc__).partition("\n")[0]) for n, f in FUNCTIONS.items()]
            )

    @command_line()
    def main(self, *args: Any, **more: Any) -> Any:
        """Run a command and exit with its code."""
        try:
            code = super().main(*args, **{**more, "standalone_mode": False})
        except (Exception, typer.Abort) as error:
            if os.environ.get(outcome.DEBUG) == "1":
                raise
            message, code = outcome.last_words(error)
            if not message.startswith("Usage:"):  # no command was given
                message = f"error: {message}"
            with suppress(OSError):
                typer.echo(printable(message), err=True)
        for stream in filter(None, (sys.stdout, sys.stderr)):
            try:
                stream.flush()
            except OSError:  # Python must not try to flush again at exit
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        sys.exit(code or 0)


app = typer.Typer(
    name="gan-augment",
    cls=Commands,
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


def main() -> None:
    """Run the command line; characters that the terminal cannot show are escaped."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    app(prog_name="gan-augment")
