"""`gan-augment recipes`: the ways to train by name, and each as a TOML file to be changed."""

from __future__ import annotations

from dataclasses import dataclass
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
        from gan_augment.recipes import ABOUT, COSTS, RECIPES, resolve_recipe
        from gan_augment.settings import to_toml

        if name is not None:
            values = resolve_recipe(name, data).model_dump(mode="json")
            shown = _Shown(values, to_toml(values).splitlines())
        else:
            wide = max(map(len, RECIPES[data]))
            rows = [(name, COSTS[data].get(name), *ABOUT[name]) for name in RECIPES[data]]
            shown = _Shown(
                {one: {"good_for": good, "source": by, "cost": c} for one, c, good, by in rows},
                [f"{one:<{wide}}  {_times(c):>5}  {good} ({by})" for one, c, good, by in rows],
            )
        outcome.print_report(ctx, shown)


def _times(cost: float | None) -> str:
    """A cost as it is printed; of a recipe that trains nothing a dash."""
    return "-" if cost is None else f"{cost:.2g}x"


@dataclass(frozen=True)
class _Shown:
    values: dict[str, Any]
    text: list[str]

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return self.values

    def lines(self) -> list[str]:
        """For people; of a recipe its TOML."""
        return self.text
