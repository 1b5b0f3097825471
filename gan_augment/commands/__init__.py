"""What each command does, as functions: `fit`, `sample`, `augment`, `evaluate`, `report`, ....

Each name loads its module on first use; nothing heavy here.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gan_augment.commands.augmenting import augment as augment
    from gan_augment.commands.augmenting import plan_augment as plan_augment
    from gan_augment.commands.choosing import choose as choose
    from gan_augment.commands.choosing import plan_choice as plan_choice
    from gan_augment.commands.compare_model import inspect_against as inspect_against
    from gan_augment.commands.demonstration import demo as demo
    from gan_augment.commands.demonstration import demo_table as demo_table
    from gan_augment.commands.embedding import convert_weights as convert_weights
    from gan_augment.commands.embedding import embed as embed
    from gan_augment.commands.evaluating import evaluate as evaluate
    from gan_augment.commands.evaluating import plan_evaluation as plan_evaluation
    from gan_augment.commands.evaluating import report as report
    from gan_augment.commands.fitting import fit as fit
    from gan_augment.commands.fitting import plan_fit as plan_fit
    from gan_augment.commands.inspection import inspect_data as inspect_data
    from gan_augment.commands.inspection import inspect_run as inspect_run
    from gan_augment.commands.installation import doctor as doctor
    from gan_augment.commands.sampling import sample as sample
    from gan_augment.commands.translating import plan_translate as plan_translate
    from gan_augment.commands.translating import translate as translate

# No module is called as its function is, or importing the module would hide the function.
_HOMES = {
    "augment": "augmenting",
    "choose": "choosing",
    "convert_weights": "embedding",
    "demo": "demonstration",
    "demo_table": "demonstration",
    "doctor": "installation",
    "embed": "embedding",
    "evaluate": "evaluating",
    "fit": "fitting",
    "inspect_against": "compare_model",
    "inspect_data": "inspection",
    "inspect_run": "inspection",
    "plan_augment": "augmenting",
    "plan_choice": "choosing",
    "plan_evaluation": "evaluating",
    "plan_fit": "fitting",
    "plan_translate": "translating",
    "report": "evaluating",
    "sample": "sampling",
    "translate": "translating",
}

__all__ = [*_HOMES]


def __getattr__(name: str) -> object:
    """Import a public name from its home on first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
