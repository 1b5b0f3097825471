"""How a dataset is topped up: its classes in the model's names, and the plan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from gan_augment.config import TopUp
from gan_augment.data.labels import encode_labels
from gan_augment.data.topup_plan import TopUpPlan, choose_classes, plan_topup
from gan_augment.data.torch_datasets import DatasetFacts
from gan_augment.data.torch_items import plain_label
from gan_augment.errors import NoRareClassError
from gan_augment.synthesizers.topup import advised_share
from gan_augment.torch_api.models import Sampling, in_python

_BY_SIZE = ("auto", "minority", "not minority", "not majority")
"""Choices of `sampling_strategy` that name no class where all are of one size."""


def planned(
    facts: DatasetFacts,
    top_up: TopUp,
    classes: str | int | Iterable[object] | None,
    model: Sampling | None,
) -> TopUpPlan:
    """How every class ends, without what the model refuses.

    `classes` None: those that the model was fitted to top up, or the rare ones.
    Raises UnknownClassError, NoRareClassError.
    """
    chosen = _chosen(classes, facts.counts, getattr(model, "topped_up_", ()))
    advised = advised_share(model, top_up.synthetic_share)
    plan = plan_topup(facts.counts, top_up, chosen, facts.kind, advised)
    return plan.refuse(getattr(model, "refuses_", {}))


def check_choice(
    augmenter: object, classes: str | int | Iterable[object] | None, counts: Mapping[str, int]
) -> None:
    """Raise what `planned` would raise once the augmenter is fitted, as far as it is known now."""
    asked = getattr(augmenter, "classes", getattr(augmenter, "sampling_strategy", "rare"))
    word = asked if isinstance(asked, str) else ""
    even = len({n for n in counts.values() if n}) == 1
    if classes is not None or word in ("rare", "all") or (even and word in _BY_SIZE):
        _chosen(classes, counts, ())


def named_for(model: Sampling, facts: DatasetFacts, dataset: Any) -> DatasetFacts:
    """The classes as the model calls them: by label, or by the dataset's own `classes`.

    A run on a folder knows "cat" and "dog", and torchvision's ImageFolder labels 0 and 1, with
    `classes` ["cat", "dog"].
    """
    listed = _listed_classes(dataset)
    known, whole = model.classes_, [name for name in facts.names if name.isdecimal()]
    if set(facts.names) <= set(known) or len(whole) < len(facts.names):
        return facts
    if max(map(int, whole)) >= len(listed) or len(set(listed)) < len(listed):
        return facts
    names = tuple(listed[int(name)] for name in facts.names)
    return replace(facts, names=names) if set(names) <= set(known) else facts


def _listed_classes(dataset: Any) -> list[str]:
    """The names that a dataset, or what it is a subset of, gives its labels 0, 1, ..."""
    while not hasattr(dataset, "classes") and hasattr(dataset, "dataset"):
        dataset = dataset.dataset
    listed = getattr(dataset, "classes", None)
    return [str(name) for name in listed] if isinstance(listed, list | tuple) else []


def _chosen(
    classes: str | int | Iterable[object] | None,
    counts: Mapping[str, int],
    topped_up: Iterable[str],
) -> tuple[str, ...]:
    if classes is None:
        here = tuple(name for name in topped_up if counts.get(name))
        if 0 < len(here) < sum(n > 0 for n in counts.values()):  # all: nothing was chosen
            return here
        classes = "rare"
    if not isinstance(classes, str):
        listed = list(classes) if isinstance(classes, Iterable) else [classes]
        return choose_classes([_name(label) for label in listed], counts)
    try:
        return choose_classes(classes, counts)
    except NoRareClassError as error:
        raise NoRareClassError(in_python(error)) from None


def _name(label: object) -> str:
    """The class of a label: 7, "7", 7.0 and tensor(7) are all "7"."""
    return label if isinstance(label, str) else encode_labels([plain_label(label, "classes")])[1][0]
