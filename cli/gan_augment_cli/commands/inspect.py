"""Commands that describe: `inspect`, `recipes`, `doctor` and `demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from gan_augment_cli import options as o
from gan_augment_cli import outcome


def inspect(
    ctx: typer.Context,
    path: Annotated[Path, o.argument("PATH", "Data to train on, or the folder of a trained run.")],
    options: Annotated[Any, o.Settings(o.FIT, "target columns window skip_bad")],
) -> None:
    """Describe data before training, or a trained run.

    Data: rows per class, which classes are rare, sizes, duplicates, unreadable files, and the
    columns of a table.
    A run: classes, recipe, scores, and whether the model contains training rows.
    """
    from gan_augment.commands.inspect import inspect_data, inspect_run
    from gan_augment.input_files import check_there

    check_there(path, "DATA, or the folder of a run")
    if (path / "config.toml").is_file() or path.suffix == ".safetensors":
        outcome.finish(ctx, inspect_run(path))
    else:
        outcome.finish(ctx, outcome.run(ctx, inspect_data, path, options))


def recipes(
    ctx: typer.Context,
    name: Annotated[
        str | None, o.argument("[NAME]", "Print the settings of this recipe as TOML.")
    ] = None,
    data: Annotated[
        Literal["image", "table"], o.option("--data", "The kind of data to train on.")
    ] = "image",
) -> None:
    """List the recipes, or print one to change and pass as --recipe mine.toml.

    Each line: name, cost of a step relative to `anchored`, use, and source.
    """
    from gan_augment.recipes import ABOUT, RECIPES, commented_toml, resolve_recipe

    if name is not None:
        recipe, following = resolve_recipe(name, data), f"gan-augment fit DATA --recipe {name}"
        values = recipe.model_dump(mode="json")
        outcome.show(ctx, values, commented_toml(recipe), following=following)
        return
    width, values = max(map(len, RECIPES[data])), dict[str, Any]()
    lines = [f"{'recipe':<{width}}   cost  use (source); cost: time of a step against anchored"]
    for one in RECIPES[data]:
        about, cost = ABOUT[one], getattr(ABOUT[one], data)
        values[one] = {"good_for": about.good_for, "source": about.source, "cost": cost}
        times = f"{cost:.2g}x" if cost else "-"  # untrained
        lines.append(f"{one:<{width}}  {times:>5}  {about.good_for} ({about.source})")
    outcome.show(ctx, values, lines, following="gan-augment choose DATA")


def doctor(ctx: typer.Context) -> None:
    """Check the installation and measure the speed of training.

    Prints versions, the device, and how to install what is missing. Exits with code 1 if something
    does not work.
    """
    from gan_augment.commands.doctor import doctor as run_doctor

    diagnosis = outcome.run(ctx, run_doctor)
    outcome.finish(ctx, diagnosis)
    if not diagnosis.healthy:
        raise typer.Exit(1)


def demo(
    ctx: typer.Context,
    out: Annotated[
        Path | None, o.argument("[OUT]", "The folder to write.  [default: demo or demo-table]")
    ] = None,
    table: Annotated[
        bool, o.option("--table", "Use a table of cancer cells instead of digits.")
    ] = False,
    seconds: Annotated[
        float | None, o.option("--seconds", "Train this long, instead of 2,000 steps.", min=1)
    ] = None,
) -> None:
    """See the tool at work on data that scikit-learn brings, in three to five minutes.

    Makes classes rare (three digits of 10 images each, or 20 malignant cells), tops them up, and
    measures on the other rows what helps a classifier.
    """
    from gan_augment.commands.demo import demo as run_demo

    out = out or Path("demo-table" if table else "demo")
    result = outcome.run(ctx, run_demo, out, table=table, seconds=seconds)
    outcome.finish(ctx, result, out)
