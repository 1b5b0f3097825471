"""How a command ends: its result on stdout, or one line on stderr and an exit code."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Protocol

import typer

from gan_augment.errors import GanAugmentError
from gan_augment_cli.console import printable
from gan_augment_cli.options import Choice, choices

if TYPE_CHECKING:
    from gan_augment.config import FitOptions, TopUp
    from gan_augment.data.topup_plan import TopUpPlan

JSON_SCHEMA = 1


class Reportable(Protocol):
    """What every workflow returns."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""

    def lines(self) -> list[str]:
        """The same for people."""


def print_json(command: str, values: Mapping[str, Any]) -> None:
    """One object on one line; `schema` is raised when a field changes its meaning."""
    head = {"schema": JSON_SCHEMA, "command": command}
    typer.echo(json.dumps({**head, **values}, ensure_ascii=False))


def print_report(command: str, report: Reportable, *, as_json: bool) -> None:
    """What was found, as lines or as one object."""
    if as_json:
        print_json(command, report.to_dict())
    else:
        _print_lines(report.lines())


def print_result(
    command: str, result: Reportable, path: Path, *, as_json: bool, quiet: bool
) -> None:
    """What was done; the last line is the output's path, as the file system has it."""
    if as_json or not quiet:
        print_report(command, result, as_json=as_json)
    if not as_json:
        typer.echo(os.fsencode(path))


def print_next(text: str) -> None:
    """The last line on stderr: what to do with the result."""
    typer.echo(f"next: {printable(text)}", err=True)


def print_choices(command: str, found: Sequence[Choice], *, as_json: bool) -> None:
    """A dry run: every option, its value, where the value came from."""
    if as_json:
        print_json(command, {"dry_run": True, "options": _as_dict(found)})
    else:
        _print_lines(_as_lines(found))


def print_ends(command: str, found: Sequence[Choice], plan: TopUpPlan, *, as_json: bool) -> None:
    """A dry run without training: the options, and how every class would end."""
    if as_json:
        options = _as_dict(found)
        print_json(command, {"dry_run": True, "options": options, "counts": plan.counts})
    else:
        _print_lines([*_as_lines(found), "", *_sums(plan.counts)])


def print_planned(
    command: str, found: Sequence[Choice], plan: Reportable, *, as_json: bool
) -> None:
    """A dry run: the options, and what would be done."""
    if as_json:
        told = {"options": _as_dict(found), "plan": plan.to_dict()}
        print_json(command, {"dry_run": True, **told})
    else:
        _print_lines([*_as_lines(found), "", *plan.lines()])


def print_plan(
    command: str,
    ctx: typer.Context,
    data: Path,
    settings: FitOptions,
    run: Path | None,
    top_up: TopUp | None = None,
    *,
    as_json: bool,
) -> None:
    """A dry run: the options, what a fit would do, and how every class would end."""
    from gan_augment import workflows
    from gan_augment.data.topup_plan import plan_topup

    found = choices(ctx)
    plan = workflows.plan_fit(data, settings, run)
    kind = settings.data_kind
    counts = plan_topup(plan.counts, top_up, plan.topped_up, kind).counts if top_up else {}
    if as_json:
        told = {"options": _as_dict(found), "plan": plan.to_dict(), "counts": counts}
        print_json(command, {"dry_run": True, **told})
        return
    _print_lines([*_as_lines(found), "", *plan.lines(), *_sums(counts)])


def _sums(counts: Mapping[str, Mapping[str, int]]) -> list[str]:
    """{class: {origin: rows}}, a class a line."""
    lines = []
    for name, origins in counts.items():
        parts = " + ".join(f"{n} {origin}" for origin, n in origins.items() if n)
        lines.append(f"{name}: {parts} = {sum(origins.values())}")
    return lines


def _print_lines(lines: Sequence[str]) -> None:
    for line in lines:
        typer.echo(printable(line))


def _as_lines(found: Sequence[Choice]) -> list[str]:
    wide = max(len(choice.name) for choice in found)
    texts = ["-" if choice.value is None else str(choice.value) for choice in found]
    return [
        f"{choice.name:<{wide}}  {text:<20}  {choice.source}"
        for choice, text in zip(found, texts, strict=True)
    ]


def _as_dict(found: Sequence[Choice]) -> dict[str, dict[str, Any]]:
    return {choice.name: {"value": choice.value, "source": choice.source} for choice in found}


@contextmanager
def exit_codes(command: str, *, as_json: bool = False) -> Iterator[None]:
    """Turns the library's errors and interruptions into one line and the documented exit code."""
    before = signal.signal(signal.SIGTERM, _terminated)
    try:
        yield
    except GanAugmentError as error:
        _report(command, type(error).__name__, str(error), error.exit_code, as_json)
        raise typer.Exit(error.exit_code) from None
    except KeyboardInterrupt as stop:
        number = int(getattr(stop, "signal", signal.SIGINT))
        hint = getattr(stop, "resume_hint", None) or "nothing was kept"
        _report(command, "Interrupted", f"interrupted; {hint}", 128 + number, as_json)
        raise typer.Exit(128 + number) from None
    finally:
        signal.signal(signal.SIGTERM, before)


class _Terminated(KeyboardInterrupt):
    """SIGTERM outside of training: clean up as Ctrl-C does, then leave with 143."""

    signal = signal.SIGTERM


def _terminated(number: int, frame: FrameType | None) -> None:
    raise _Terminated


def _report(command: str, kind: str, message: str, code: int, as_json: bool) -> None:
    typer.echo(f"error: {printable(message)}", err=True)
    if as_json:
        error = {"type": kind, "message": message, "exit_code": code}
        print_json(command, {"error": error})
