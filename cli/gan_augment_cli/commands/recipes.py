"""`gan-augment recipes`: the ways to train by name, and each as a TOML file to be changed."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from gan_augment_cli import options as o
from gan_augment_cli import outcome


def recipes(
    ctx: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", show_default=False, help="Print this one's TOML."),
    ] = None,
    data: Annotated[
        Literal["image", "table"], o.option("--data", "What it is to train on: image, table.")
    ] = "image",
    as_json: o.AsJson = False,
) -> None:
    """List the recipes, or print one to be changed and passed as --recipe mine.toml.

    A line a recipe: its name, what a step costs beside one of anchored, what it is good for, the
    paper that it is from.
    """
    with outcome.exit_codes(ctx):
        from gan_augment.recipes import ABOUT, RECIPES, resolve_recipe
        from gan_augment.settings import to_toml

        if name is not None:
            settings = resolve_recipe(name, data).model_dump(mode="json")
            outcome.print_values(ctx, settings, to_toml(settings).splitlines())
            return
        wide, values, lines = max(map(len, RECIPES[data])), dict[str, Any](), list[str]()
        for one in RECIPES[data]:
            about, cost = ABOUT[one], getattr(ABOUT[one], data)
            values[one] = {"good_for": about.good_for, "source": about.source, "cost": cost}
            times = f"{cost:.2g}x" if cost else "-"  # nothing is trained
            lines.append(f"{one:<{wide}}  {times:>5}  {about.good_for} ({about.source})")
        outcome.print_values(ctx, values, lines)
