"""Commands that describe: `inspect`, `recipes`, `doctor` and `demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from gan_augment_cli import options as o
from gan_augment_cli import outcome


def inspect(
    ctx: typer.Context,
    path: Annotated[Path, o.argument("PATH", "DATA, or the folder of a RUN.")],
    options: Annotated[Any, o.Settings(o.FIT, "target columns window skip_bad")],
) -> None:
    """Describe DATA or a RUN.

    DATA: classes and counts, which are rare and why, sizes, duplicates, unreadable files; for a
    table the columns as a model would learn them.
    RUN: classes, sizes or columns, recipe, scores, and whether the model contains training rows.
    """
    from gan_augment.commands.inspect import inspect_data, inspect_run
    from gan_augment.input_files import check_there

    check_there(path, "DATA, or the folder of a run")
    is_run = (path / "config.toml").is_file() or path.suffix == ".safetensors"
    if is_run:
        run = inspect_run(path)
        outcome.show(ctx, run.to_dict(), run.lines())
        return
    found = outcome.run(ctx, inspect_data, path, options)
    outcome.show(ctx, found.to_dict(), found.lines())


def recipes(
    ctx: typer.Context,
    name: Annotated[str | None, o.argument("[NAME]", "Print the TOML of this recipe.")] = None,
    data: Annotated[
        Literal["image", "table"], o.option("--data", "The kind of data to train on.")
    ] = "image",
) -> None:
    """List the recipes, or print one to be changed and passed as --recipe mine.toml.

    Each line holds a recipe's name, the cost of a step relative to anchored, its use, its source.
    """
    from gan_augment.recipes import ABOUT, RECIPES, commented_toml, resolve_recipe

    if name is not None:
        recipe = resolve_recipe(name, data)
        outcome.show(ctx, recipe.model_dump(mode="json"), commented_toml(recipe))
        return
    width, values = max(map(len, RECIPES[data])), dict[str, Any]()
    lines = [f"{'recipe':<{width}}   cost  use (source); cost: time of a step against anchored"]
    for one in RECIPES[data]:
        about, cost = ABOUT[one], getattr(ABOUT[one], data)
        values[one] = {"good_for": about.good_for, "source": about.source, "cost": cost}
        times = f"{cost:.2g}x" if cost else "-"  # untrained
        lines.append(f"{one:<{width}}  {times:>5}  {about.good_for} ({about.source})")
    outcome.show(ctx, values, lines)


def doctor(ctx: typer.Context) -> None:
    """Check the installation and time a training step.

    Prints versions, the device, and how to install what is missing. Exits with 1 if a requirement
    does not work.
    """
    from gan_augment.commands.doctor import doctor as run_doctor

    diagnosis = outcome.run(ctx, run_doctor)
    outcome.show(ctx, diagnosis.to_dict(), diagnosis.lines())
    if not diagnosis.healthy:
        raise typer.Exit(1)


def demo(
    ctx: typer.Context,
    options: Annotated[Any, o.Settings(o.FIT, "steps")],
    out: Annotated[
        Path | None, o.argument("[OUT]", "The folder to write.  [default: demo, or demo-table]")
    ] = None,
    table: Annotated[bool, o.option("--table", "A table of cancer cells, not digits.")] = False,
    seconds: Annotated[float, o.option("--seconds", "Time of training on digits.", min=1)] = 30.0,
    overwrite: o.Overwrite = False,
) -> None:
    """Run the main job on scanned digits or a table, and measure it.

    Cuts three classes of scikit-learn's digits to 10 rows, or the malignant cells of its
    breast-cancer table to 20, tops them up, and measures on the other rows what helps a classifier.
    """
    from gan_augment.commands.demo import demo as run_demo

    out = out or Path("demo-table" if table else "demo")
    how = {"seconds": seconds, "steps": options.steps, "overwrite": overwrite}
    result = outcome.run(ctx, run_demo, out, table=table, **how)
    outcome.show(ctx, result.to_dict(), result.lines(), out)
