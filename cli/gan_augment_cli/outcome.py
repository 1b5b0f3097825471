"""How a command ends: its result on stdout, or one line on stderr and an exit code."""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command_from_info
from typer.models import CommandInfo

from gan_augment.errors import GanAugmentError, LostRankError, WriteFailedError
from gan_augment.processes import follows
from gan_augment_cli import os_signals
from gan_augment_cli.console import printable, shown_progress
from gan_augment_cli.options import PANELS, choices, expand

Result = TypeVar("Result")
JSON_SCHEMA = 1
DEBUG = "GAN_AUGMENT_DEBUG"
_WRITING = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


class Reportable(Protocol):
    """The result of a command of the library."""

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""

    def lines(self) -> list[str]:
        """Return the same as lines for people."""


def run(ctx: typer.Context, command: Callable[..., Result], *args: Any, **options: Any) -> Result:
    """Return the result of a library command, and show its progress meanwhile."""
    with shown_progress(quiet=ctx.params["quiet"] or follows()) as progress:
        return command(*args, progress=progress, **options)


def print_values(ctx: typer.Context, values: Mapping[str, Any], lines: Iterable[str]) -> None:
    """Print values as one JSON object in ASCII, or the equivalent lines.

    `schema` grows when a field changes its meaning.
    """
    if ctx.params["as_json"]:
        head = {"schema": JSON_SCHEMA, "command": ctx.info_name}
        typer.echo(json.dumps({**head, **values}, default=str))  # paths
        return
    for line in lines:
        typer.echo(printable(line))


def print_report(ctx: typer.Context, report: Reportable) -> None:
    """Print a report as lines, or as one JSON object."""
    print_values(ctx, report.to_dict(), report.lines())


def print_result(ctx: typer.Context, result: Reportable, path: Path) -> None:
    """Print a result; the last line is the output's path in the bytes of the file system."""
    if ctx.params["as_json"] or not ctx.params["quiet"]:
        print_report(ctx, result)
    if not ctx.params["as_json"]:
        typer.echo(os.fsencode(path))


def print_next(ctx: typer.Context, text: str) -> None:
    """Print the next command as the last line on stderr, unless quiet or for JSON."""
    if not (ctx.params["quiet"] or ctx.params["as_json"]):
        typer.echo(f"next: {printable(text)}", err=True)


def print_plan(
    ctx: typer.Context,
    lines: Sequence[str] = (),
    stored: Mapping[str, Any] | None = None,
    **values: Any,
) -> None:
    """Print a dry run: every option with its value and source, and the plan.

    lines: the plan for people; values: the plan for JSON. stored: settings of a resumed run.
    """
    options = choices(ctx)
    for name, value in (stored or {}).items():
        if name in options and options[name]["source"] == "default":
            options[name] = {"value": value, "source": "stored in the run"}
    wide = max(map(len, options))
    table = []
    for name, choice in options.items():
        value = "-" if choice["value"] is None else str(choice["value"])
        table.append(f"{name:<{wide}}  {value:<20}  {choice['source']}")
    plan = ["", *lines] if lines else []
    print_values(ctx, {"dry_run": True, "options": options, **values}, [*table, *plan])


@contextmanager
def exit_codes(ctx: typer.Context) -> Iterator[None]:
    """Turn the library's errors and interruptions into one line and the documented exit code."""
    before = signal.signal(signal.SIGTERM, os_signals.terminated)
    os_signals.said.clear()
    os_signals.last_words.append(partial(_failed, ctx, "Interrupted"))
    try:
        yield
    except KeyboardInterrupt as stop:
        number = int(getattr(stop, "signal", signal.SIGINT))
        os_signals.interrupted(getattr(stop, "resume_hint", ""), number)
        raise typer.Exit(128 + number) from None
    except (typer.Exit, typer.BadParameter, BrokenPipeError):
        raise
    except Exception as error:
        if os.environ.get(DEBUG) == "1":
            raise
        raise _failed(ctx, type(error).__name__, *last_words(error)) from None
    finally:
        os_signals.last_words.pop()
        signal.signal(signal.SIGTERM, before)


def last_words(error: Exception) -> tuple[str, int]:
    """Return the error as one line, and the documented exit code."""
    text = " ".join(str(error).split())
    if isinstance(error, GanAugmentError):
        return str(error), error.exit_code
    if isinstance(error, typer.TyperException):
        ctx = getattr(error, "ctx", None)
        words = error.format_message()
        if ctx and not words.startswith("Usage:"):
            words = f"{words[:1].lower()}{words[1:]} See: {ctx.command_path} --help"
        return words, error.exit_code
    if isinstance(error, OSError):
        reason = error.strerror or text or type(error).__name__
        where = "standard output" if error.filename is None else repr(error.filename)
        if error.errno in _WRITING:
            return f"could not write {where}: {reason}", WriteFailedError.exit_code
        return f"{where}: {reason}" if error.filename else reason, 1
    cures = {
        MemoryError: "there is not enough memory; take fewer or smaller rows or images",
        RecursionError: "something in the data or the settings is nested too deeply",
        OverflowError: "a number in the data or the settings is too large",
    }
    known = next((cure for kind, cure in cures.items() if isinstance(error, kind)), "")
    if known:
        return f"{known} ({text or type(error).__name__})", 1
    what = f"{type(error).__name__}: {text}"
    return f"a bug of gan-augment ({what}); {DEBUG}=1 shows the traceback", 1


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

    functions: ClassVar[dict[str, Callable[..., None]]] = {}

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names in the order of the help."""
        return list(self.functions)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Build a command; for an unknown name build all, so that the error can suggest one."""
        for name in (cmd_name,) if cmd_name in self.functions else self.functions:
            if name not in self.commands:
                function = expand(self.functions[name], exit_codes)
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
                [(n, str(f.__doc__).partition("\n")[0]) for n, f in self.functions.items()]
            )

    def main(self, *args: Any, **more: Any) -> Any:
        """Run a command and exit with its code."""
        try:
            code = super().main(*args, **{**more, "standalone_mode": False})
        except (Exception, typer.Abort) as error:
            if os.environ.get(DEBUG) == "1":
                raise
            message, code = last_words(error)
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


def _failed(ctx: typer.Context, name: str, message: str, code: int) -> typer.Exit:
    """Print the error on stderr, with --json on stdout too, and return the exit.

    With several ranks, rank 0 speaks for all; another rank reports its own errors only.
    """
    if follows():
        if name not in ("Interrupted", LostRankError.__name__):
            typer.echo(f"rank {os.environ['RANK']}: {printable(message)}", err=True)
        return typer.Exit(code)
    typer.echo(f"error: {printable(message)}", err=True)
    if ctx.params["as_json"]:
        error = {"type": name, "message": message, "exit_code": code}
        with suppress(OSError):  # stdout may be what failed
            print_values(ctx, {"error": error}, ())
    return typer.Exit(code)
