"""How a dataset is topped up: its classes in the model's names, the plan, what each item is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gan_augment.config import TopUp
from gan_augment.data.labels import encode_labels
from gan_augment.data.strategy import ClassPlan, choose_classes, targets
from gan_augment.data.torch_datasets import DatasetFacts
from gan_augment.data.torch_items import plain_label
from gan_augment.errors import NoRareClassError
from gan_augment.synthesizers.topping_up import advised_share, repeated_rows
from gan_augment.torch_api.models import Sampling, in_python

_BY_SIZE = ("auto", "minority", "not minority", "not majority")
"""Choices of `sampling_strategy` that name no class where all are of one size."""
LONE = "it has 1 item, and a generator needs 2"


@dataclass(frozen=True)
class Layout:
    """Real items, then the added ones, class by class: repeats, then generated ones.

    labels: int64 (M,). origin: str (M,). where: int64 (M,), the real row of a real item or a
    repeat; of the i-th generated one, ~i.
    """

    labels: NDArray[np.int64]
    origin: NDArray[np.str_]
    where: NDArray[np.int64]


def planned(
    facts: DatasetFacts,
    top_up: TopUp,
    classes: str | int | Iterable[object] | None,
    model: Sampling | None,
) -> dict[str, ClassPlan]:
    """How every class ends. `classes` None: those that the model was fitted to top up, or rare.

    Raises UnknownClassError, NoRareClassError.
    """
    chosen = _chosen(classes, facts.counts, getattr(model, "topped_up_", ()))
    advised = advised_share(model, top_up.synthetic_share)
    return targets(facts.counts, top_up, chosen, facts.kind, advised)


def check_choice(
    augmenter: object, classes: str | int | Iterable[object] | None, counts: Mapping[str, int]
) -> None:
    """Raise what `planned` would raise once the augmenter is fitted, as far as it is known now."""
    asked = getattr(augmenter, "classes", getattr(augmenter, "sampling_strategy", "rare"))
    word = asked if isinstance(asked, str) else ""
    even = len({n for n in counts.values() if n}) == 1
    if classes is not None or word in ("rare", "all") or (even and word in _BY_SIZE):
        _chosen(classes, counts, ())


def refusals(plan: Mapping[str, ClassPlan], model: Sampling | None) -> dict[str, str]:
    """{class: why} of those of which rows were to be generated, as far as it is known now."""
    known: Mapping[str, str] = getattr(model, "refuses_", {})
    asked = {name for name, end in plan.items() if end.synthetic + end.companions}
    lone = {name: LONE for name, end in plan.items() if end.lone}
    return lone | {name: why for name, why in known.items() if name in asked}


def with_repeats(plan: Mapping[str, ClassPlan], refused: Mapping[str, str]) -> dict[str, ClassPlan]:
    """The plan with nothing generated for the classes that are refused."""
    return {name: end.repeated() if name in refused else end for name, end in plan.items()}


def laid_out(facts: DatasetFacts, plan: Mapping[str, ClassPlan], seed: int) -> Layout:
    """Every item of the topped-up dataset, in order."""
    n = len(facts.labels)
    where, origins, labels = [np.arange(n)], [np.full(n, "real", "U9")], [facts.labels]
    done = 0
    for label, name in enumerate(facts.names):
        end = plan[name]
        made = end.synthetic + end.companions
        rows = np.flatnonzero(facts.labels == label)
        where += [repeated_rows(rows, end.repeats, name, seed), ~np.arange(done, done + made)]
        origins.append(np.full(end.repeats, "repeat", "U9"))
        origins.append(np.full(made, "companion" if end.companions else "synthetic", "U9"))
        labels.append(np.full(end.repeats + made, label))
        done += made
    return Layout(
        labels=np.concatenate(labels).astype(np.int64),
        origin=np.concatenate(origins),
        where=np.concatenate(where).astype(np.int64),
    )


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
