"""How a command ends: its result on stdout, or one line on stderr and an exit code."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import typer

from gan_augment.errors import GanAugmentError, LostRankError, WriteFailedError, named
from gan_augment.processes import follows
from gan_augment.progress import Progress, TerminalProgress, printable
from gan_augment_cli import os_signals
from gan_augment_cli.options import choices

Result = TypeVar("Result")
JSON_SCHEMA = 1
DEBUG = "GAN_AUGMENT_DEBUG"
_WRITING = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


def run(ctx: typer.Context, command: Callable[..., Result], *args: Any, **options: Any) -> Result:
    """Return the result of a library command, and show its progress meanwhile."""
    with shown_progress(quiet=ctx.params["quiet"] or follows()) as progress:
        return command(*args, progress=progress, **options)


class Lines(TerminalProgress):
    """Progress with warnings among its lines."""

    def warn(self, text: str) -> None:
        """Write one line, even if quiet."""
        self.write(f"warning: {text}")


@contextmanager
def shown_progress(*, quiet: bool) -> Iterator[Progress]:
    """Show progress on stderr; Python's warnings become its lines."""
    progress = Lines(quiet=quiet)
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: progress.warn(str(message))
        try:
            yield progress
        finally:
            progress.finish()


def finish(ctx: typer.Context, result: Any, path: Path | None = None) -> None:
    """Print the result of a library command, with its next command."""
    show(ctx, result.to_dict(), result.lines(), path, result.following)


def show(
    ctx: typer.Context,
    values: Mapping[str, Any],
    lines: Iterable[str],
    path: Path | None = None,
    following: str = "",
) -> None:
    """Print one JSON object in ASCII, or lines; then the path of the output.

    following: the next command, the last line on stderr. `schema` grows when a field changes its
    meaning. The path is printed in the bytes of the file system.
    """
    if ctx.params["as_json"]:
        head = {"schema": JSON_SCHEMA, "command": ctx.info_name}
        then = {"following": following} if following else {}
        typer.echo(json.dumps({**head, **values, **then}, default=str))  # paths
        return
    quiet = ctx.params["quiet"]
    if path is None or not quiet:
        for line in lines:
            typer.echo(printable(named(line)))
    if path is not None:
        typer.echo(os.fsencode(path))
    if following and not quiet:
        typer.echo(f"next: {printable(following)}", err=True)


def show_plan(ctx: typer.Context, lines: Iterable[str], **values: Any) -> None:
    """Print a dry run: every option with its value and source, and the plan."""
    options = choices(ctx)
    wide, shown = max(map(len, options)), []
    for name, choice in options.items():
        value = "-" if choice["value"] is None else str(choice["value"])
        shown.append(f"{name:<{wide}}  {value:<20}  {choice['source']}")
    show(ctx, {"dry_run": True, "options": options, **values}, [*shown, "", *lines])


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
        words = error.format_message().replace("Value error, ", "")
        words = re.sub(r"Input should be a valid (int|num).*", "expected a number.", words)
        if words.startswith("Usage:"):  # no command was given
            return words, error.exit_code
        see = f" See: {ctx.command_path} --help" if ctx else ""
        return f"{words[:1].lower()}{words[1:]}{see}", error.exit_code
    if isinstance(error, OSError):
        reason = error.strerror or text or type(error).__name__
        where = "standard output" if error.filename is None else repr(error.filename)
        if error.errno in _WRITING:
            return f"could not write {where}: {reason}", WriteFailedError.exit_code
        return f"{where}: {reason}" if error.filename else reason, 1
    if isinstance(error, MemoryError):
        return "there is not enough memory; take fewer or smaller rows or images", 1
    what = f"{type(error).__name__}: {text}"
    return f"a bug of gan-augment ({what}); {DEBUG}=1 shows the traceback", 1


def _failed(ctx: typer.Context, error_name: str, message: str, code: int) -> typer.Exit:
    """Print the error on stderr, with --json on stdout too, and return the exit.

    With several ranks, rank 0 speaks for all; another rank reports its own errors only.
    """
    if follows():
        if error_name not in ("Interrupted", LostRankError.__name__):
            typer.echo(f"rank {os.environ['RANK']}: {printable(message)}", err=True)
        return typer.Exit(code)
    error = {"type": error_name, "message": message, "exit_code": code}
    with suppress(OSError):  # stdout may be what failed
        if ctx.params["as_json"]:
            show(ctx, {"error": error}, ())
    typer.echo(f"error: {printable(message)}", err=True)
    return typer.Exit(code)
