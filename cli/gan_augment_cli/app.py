"""The command `gan-augment`: its commands; those not in `commands/` are `doctor` and `demo`."""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any

import typer

import gan_augment
from gan_augment.errors import did_you_mean
from gan_augment_cli import options as o
from gan_augment_cli import outcome
from gan_augment_cli.commands import augment, choose, evaluate, inspect, recipes
from gan_augment_cli.console import WarningsOnly, shown_progress

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
    "--dry-run shows which it was.",
)


def doctor(ctx: typer.Context, verbose: o.Verbose = False, as_json: o.AsJson = False) -> None:
    """Say what is installed, what is missing and how to get it, and how fast training is here.

    Versions, device, which albumentations answers, and timings of a real training step in each
    precision. Exits with 1 if something needed does not work.
    """
    from gan_augment.commands.doctor import doctor as run_doctor

    with outcome.exit_codes(ctx), shown_progress(quiet=as_json) as progress:
        diagnosis = run_doctor(progress)
    outcome.print_report(ctx, diagnosis)
    if not diagnosis.healthy:
        raise typer.Exit(1)


def demo(
    ctx: typer.Context,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The folder to write.")] = Path("demo"),
    table: Annotated[
        bool, o.option("--table", "A table of cancer cells instead of digits.")
    ] = False,
    seconds: Annotated[float, o.option("--seconds", "Of training on the digits.", min=1)] = 30.0,
    steps: o.Steps = None,
    overwrite: o.Overwrite = False,
    verbose: o.Verbose = False,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
) -> None:
    """The main job on scanned digits or a table, measured.

    Cuts three classes of scikit-learn's digits to 20 rows, or the malignant cells of its
    breast-cancer table to 40, tops them up, and evaluates in short whether that helps a
    classifier.
    """
    from gan_augment.commands.demo import demo as run_demo
    from gan_augment.commands.demo import demo_table

    with outcome.exit_codes(ctx):
        with shown_progress(quiet=quiet) as progress:
            how: dict[str, Any] = {"steps": steps, "overwrite": overwrite, "progress": progress}
            result = demo_table(out, **how) if table else run_demo(out, seconds=seconds, **how)
        outcome.print_result(ctx, result, out)


COMMANDS = (
    augment.augment,
    augment.fit,
    augment.sample,
    augment.translate,
    augment.embed,
    evaluate.evaluate,
    evaluate.report,
    inspect.inspect,
    choose.choose,
    recipes.recipes,
    doctor,
    demo,
)
for command in COMMANDS:
    app.command(cls=outcome.Command)(command)


def _show_version(version: bool) -> None:
    if version:
        parts = {"gan-augment": gan_augment.__version__, "torch": metadata.version("torch")}
        parts["Python"] = platform.python_version()
        typer.echo(", ".join(f"{name} {number}" for name, number in parts.items()))
        raise typer.Exit


def _warn_of_unknown(ctx: typer.Context) -> None:
    """Name what is set in the environment and belongs to no option."""
    commands = vars(ctx.command)["commands"].values()
    known = {str(param.envvar) for command in commands for param in command.params}
    known |= {outcome.DEBUG, "GAN_AUGMENT_MAP_ABOVE"}
    for name in sorted(os.environ.keys() - known):
        if name.startswith("GAN_AUGMENT_"):
            guess = did_you_mean(name, sorted(known))
            WarningsOnly().warn(f"{name} is set in the environment and means nothing.{guess}")


@app.callback()
def _about(
    ctx: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            is_eager=True,
            callback=_show_version,
            help="And torch's and Python's.",
        ),
    ] = False,
    verbose: o.Verbose = False,
) -> None:
    """Top up rare classes of labelled images or tables with generated ones.

    Start with:  gan-augment augment DATA OUT
    """
    _warn_of_unknown(ctx)


def main() -> None:
    """Run the command line; names that the terminal cannot show are escaped, never an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    app(prog_name="gan-augment")
