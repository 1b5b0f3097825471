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
from gan_augment.progress import printable
from gan_augment_cli import outcome
from gan_augment_cli.commands import augment, evaluate, inspect
from gan_augment_cli.options import COMMON, PANELS, expand

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
    """A command whose `--help` shows the options of `COMMON`, and `--help-all` all in `PANELS`."""

    def format_usage(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, then [OPTIONS]."""
        names = [str(p.metavar) for p in self.params if p.param_type_name == "argument"]
        formatter.write_usage(ctx.command_path, " ".join([*names, "[OPTIONS]"]))

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, and the options or panels of options."""
        common = COMMON.get(str(self.name), "").split()
        everything = bool(ctx.meta.get("help_all"))
        panel_of = {name: panel for panel, names in PANELS.items() for name in names.split()}
        panels: dict[str, list[tuple[str, str]]] = {"Arguments": []}
        panels |= {panel: [] for panel in PANELS if everything} or {"Options": []}
        names = {str(param.name): param for param in self.get_params(ctx)}
        for name, param in sorted(names.items(), key=lambda one: [*common, one[0]].index(one[0])):
            panel = panel_of.get(name, "Output") if everything else "Options"
            if param.param_type_name == "argument":
                panels["Arguments"].append((str(param.metavar), str(getattr(param, "help", ""))))
            elif everything or not common or name in (*common, "help", "help_all"):
                panels[panel].append(param.get_help_record(ctx) or ("", ""))
        for panel, records in panels.items():
            if records:
                with formatter.section(panel):
                    formatter.write_dl(records)


class Commands(TyperGroup):
    """The commands, each built on demand and ended with an exit code."""

    def list_commands(self, ctx: Any) -> list[str]:
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
        try:
            code = super().main(*args, **{**more, "standalone_mode": False})
        except (Exception, typer.Abort) as error:
            if os.environ.get(outcome.DEBUG) == "1":
                raise
            message, code = outcome.last_words(error)
            with suppress(OSError):
                head = "" if message.startswith("Usage:") else "error: "
                typer.echo(f"{head}{printable(message)}", err=True)
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
    "An option may also be set in the environment, --seed as GAN_AUGMENT_SEED.",
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
    """Top up rare classes of images, signals or tables, and measure what helps a classifier.

    See it at work: gan-augment demo.  On your data: gan-augment evaluate DATA
    """


def main() -> None:
    """Run the command line; characters that the terminal cannot show are escaped."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    app(prog_name="gan-augment")
