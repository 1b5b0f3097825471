"""Selection: networks that score candidates, stored thresholds, and the samples that are accepted.

`calibration.py` fixes the thresholds at the end of fit.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from gan_augment import machine
from gan_augment.classifier import FEATURES, SmallCNN, new_layers
from gan_augment.data.pixels import pixel_dtype, to_network
from gan_augment.errors import DataError, ModelFileError, TooFewAcceptedError
from gan_augment.generators.model_file import ModelMeta, SelectionRecord, Thresholds
from gan_augment.generators.sampling import BLOCK, BlockSampler
from gan_augment.generators.saved_samplers import rows_by_label
from gan_augment.generators.source_rows import SourcePool
from gan_augment.machine import ComputeConfig
from gan_augment.metrics.copies import nearest_distances
from gan_augment.networks.geometry import Geometry
from gan_augment.networks.layers import split_verdict
from gan_augment.recipes.settings import SPAN
from gan_augment.training.images import new_discriminator
from gan_augment.training.parts import Arrays, below, network_arrays, restored_network

CRITERIA = ("label", "outlier", "copy", "logit", "artefacts")
"""In the order of trial: the first that a candidate fails is the reason of its rejection."""

Pixels = NDArray[Any]
PATIENCE_BLOCKS = 16
HOPELESS = 0.02
PREFIX = "selection"


@dataclass(frozen=True)
class Scores:
    """Of n images of one class, each float64.

    label: p(class | image) of the fold's classifier that believes it least, (n,). distance: to the
    nearest training row of the class, in the features of each fold's classifier, (folds, n); inf
    where a fold has none. logit: of D, (n,). real: p(real), (n,).
    """

    label: NDArray[np.float64]
    distance: NDArray[np.float64]
    logit: NDArray[np.float64]
    real: NDArray[np.float64]


@dataclass(frozen=True)
class Critics:
    """The networks that score a candidate; each sees whole blocks, so that the bytes are the same.

    folds: classifiers, each trained without one fold of the rows. rows: for each of them {label:
    float32 (n, 128)}, its features of rows that it was trained on. discriminator: D as training
    left it, None where no criterion needs it; real: the real-or-synthetic detector, likewise.
    """

    folds: tuple[SmallCNN, ...]
    rows: tuple[dict[int, NDArray[np.float32]], ...]
    discriminator: nn.Module | None
    real: SmallCNN | None
    geometry: Geometry
    compute: ComputeConfig

    def scores(self, pixels: Pixels, label: int) -> Scores:
        """What all say of images of a class, uint8 (n, H, W, C)."""
        of_label, distances = [], []
        for classifier, rows in zip(self.folds, self.rows, strict=True):
            features = classifier.features(pixels)
            of_label.append(classifier.probabilities_of(features)[:, label].astype(np.float64))
            distances.append(
                nearest_distances(features, rows[label])
                if label in rows
                else np.full(len(pixels), np.inf)
            )
        unknown = np.full(len(pixels), np.nan)
        real = unknown if self.real is None else p_real(self.real, pixels)
        return Scores(
            label=np.min(of_label, axis=0) if of_label else unknown,
            distance=np.stack(distances) if distances else np.empty((0, len(pixels))),
            logit=unknown if self.discriminator is None else self._logits(pixels, label),
            real=real,
        )

    def _logits(self, pixels: Pixels, label: int) -> NDArray[np.float64]:
        """D's logits, in blocks of 64: its last layer may compare the images of a batch."""
        assert self.discriminator is not None
        parts, device = [np.empty(0)], self.compute.device
        for start in range(0, len(pixels), BLOCK):
            x = to_network(pixels[start : start + BLOCK], self.geometry.padded).to(device)
            y = torch.full((len(x),), label, device=device)
            with machine.threads(1), torch.inference_mode(), self.compute.autocast():
                logits, _ = split_verdict(self.discriminator(x, y))
            parts.append(logits.double().cpu().numpy())
        return np.concatenate(parts)


@dataclass(frozen=True)
class Selection:
    """Critics with the thresholds that were fixed at the end of fit. names: classes by label."""

    critics: Critics
    record: SelectionRecord
    names: tuple[str, ...]

    def reasons(self, pixels: Pixels, label: int) -> NDArray[np.str_]:
        """For images of a class, uint8 (n, H, W, C): "" if accepted, else what they fail, (n,).

        Candidates come in whole blocks, or the last bits of a score may be others.
        """
        thresholds = self.record.classes[self.names[label]].thresholds
        return failed(self.critics.scores(pixels, label), thresholds)

    def without(self, fold: int) -> Selection:
        """The selection by the one classifier that saw no row of a fold, and by its thresholds."""
        one, critics = slice(fold, fold + 1), self.critics
        classes = {}
        for name, own in self.record.classes.items():
            t = own.thresholds
            distances = {"far": t.far and t.far[one], "near": t.near and t.near[one]}
            thresholds = t.model_copy(update=distances)
            classes[name] = own.model_copy(update={"thresholds": thresholds})
        return Selection(
            replace(critics, folds=critics.folds[one], rows=critics.rows[one]),
            self.record.model_copy(update={"folds": 1, "classes": classes}),
            self.names,
        )

    def arrays(self) -> Arrays:
        """Weights of the critics and the rows that they compare with, below "selection/"."""
        critics, arrays = self.critics, Arrays()
        networks: dict[str, nn.Module] = {
            f"fold-{fold}": classifier.network for fold, classifier in enumerate(critics.folds)
        }
        if critics.discriminator is not None:
            networks["discriminator"] = critics.discriminator
        if critics.real is not None:
            networks["real"] = critics.real.network
        for part, network in networks.items():
            arrays |= {f"{PREFIX}/{part}/{k}": v for k, v in network_arrays(network).items()}
        for fold, rows in enumerate(critics.rows):
            arrays |= {f"{PREFIX}/rows-{fold}/{label}": values for label, values in rows.items()}
        return arrays

    def check_served(self, name: str) -> None:
        """Raise TooFewAcceptedError where a class is refused, DataError where it has no row."""
        record = self.record.classes.get(name)
        if record is None:
            raise DataError(
                f"class {name!r} had no training row, so that nothing says what is worth keeping "
                "of it. Add images of it and fit again."
            )
        if record.refused:
            raise TooFewAcceptedError(record.refused)


def failed(scores: Scores, thresholds: Thresholds) -> NDArray[np.str_]:
    """The first of `CRITERIA` that each image fails, "" for none; (n,).

    outlier: farther than `far` in every fold. copy: nearer than `near` in any, or equal to a row.
    """
    t, n = thresholds, len(scores.label)
    checks = {
        "label": None if t.label is None else scores.label < t.label,
        "outlier": None if t.far is None else (scores.distance > _column(t.far)).all(axis=0),
        "copy": None
        if t.near is None
        else ((scores.distance < _column(t.near)) | (scores.distance == 0)).any(axis=0),
        "logit": None if t.logit is None else scores.logit < t.logit,
        "artefacts": None if t.real is None else scores.real < t.real,
    }
    reasons = np.full(n, "", dtype="U9")
    for name in reversed(CRITERIA):
        fails = checks[name]
        if fails is not None:
            reasons[fails] = name
    return reasons


def p_real(classifier: SmallCNN, pixels: Pixels) -> NDArray[np.float64]:
    """p(real) of images by the real-or-synthetic classifier, float64 (n,)."""
    return classifier.probabilities_of(classifier.features(pixels))[:, 0].astype(np.float64)


def _column(values: tuple[float, ...]) -> NDArray[np.float64]:
    return np.array(values)[:, np.newaxis]


class SampleSequence:
    """The accepted samples of each class, in a fixed order; all candidates without a selection.

    Samples come in spans of 1,024. Sample i of a span is the i-th accepted of the span's own
    candidates, whoever draws it: how many each block holds is remembered.
    """

    def __init__(self, sampler: BlockSampler, selection: Selection | None) -> None:
        self.sampler = sampler
        self.selection = selection
        self._accepted: dict[tuple[int, int], dict[int, NDArray[np.bool_]]] = {}
        self._span = sampler.settings.span

    def rows(self, label: int, name: str, start: int, stop: int, seed: int) -> Pixels:
        """Accepted candidates [start, stop) of a class, uint8 (stop - start, H, W, C).

        Raises TooFewAcceptedError for a class that is refused, DataError if nothing anchors it.
        """
        if self.selection is None and not self.sampler.settings.once:
            return self.sampler.rows(label, name, start, stop, seed)
        if self.selection is not None:
            self.selection.check_served(name)
        shape = self.sampler.geometry.shape
        parts = [np.empty((0, *shape), pixel_dtype(shape))]
        for span in range(start // self._span, -(-stop // self._span)):
            before = span * self._span
            place = max(start - before, 0), min(stop - before, self._span)
            parts += self._of_span(label, name, span, *place, seed)
        return np.concatenate(parts)

    def _of_span(
        self, label: int, name: str, span: int, start: int, stop: int, seed: int
    ) -> Iterator[Pixels]:
        """Accepted candidates [start, stop) of a span, by block."""
        accepted, first = self._accepted.setdefault((label, seed), {}), 0
        begin = first_block(span, selecting=self.selection is not None)
        for number in itertools.count(begin):
            if first >= stop:
                break
            if number not in accepted or first + accepted[number].sum() > start:
                drawn = self.block(label, name, number, seed)
                yield drawn[max(start - first, 0) : stop - first]
            first += int(accepted[number].sum())
            check_going_on(name, first, number + 1 - begin)

    def block(self, label: int, name: str, number: int, seed: int) -> Pixels:
        """The accepted of candidates [64 number, 64 number + 64) of a class; raises as `rows`."""
        if self.selection is not None:
            self.selection.check_served(name)
        drawn, reasons = self.with_reasons(label, name, number, seed)
        self._accepted.setdefault((label, seed), {})[number] = reasons == ""
        accepted: Pixels = drawn[reasons == ""]
        return accepted

    def block_sources(self, label: int, name: str, number: int, seed: int) -> NDArray[np.str_]:
        """The ids of the rows that the samples of `block` start from, (n,)."""
        assert self.sampler.sources is not None
        block = self.sampler.source_block(label, name, number, seed)
        accepted = block.fresh
        if self.selection is not None:
            if number not in self._accepted.get((label, seed), {}):
                self.block(label, name, number, seed)
            accepted = self._accepted[label, seed][number]
        ids: NDArray[np.str_] = self.sampler.sources.ids[block.index[accepted]]
        return ids

    def row_sources(
        self, label: int, name: str, start: int, stop: int, seed: int
    ) -> NDArray[np.str_]:
        """The ids of the rows that samples [start, stop) of a class start from, (stop - start,)."""
        parts = [np.empty(0, dtype=np.str_)]
        for span in range(start // self._span, -(-stop // self._span)):
            number = first_block(span, selecting=self.selection is not None)
            first, end = span * self._span, min(stop, (span + 1) * self._span)
            while first < end:
                ids = self.block_sources(label, name, number, seed)
                parts.append(ids[max(start - first, 0) : end - first])
                first, number = first + len(ids), number + 1
        return np.concatenate(parts)

    def starting_from(self, sources: SourcePool) -> SampleSequence:
        """The samples that start from other rows."""
        return SampleSequence(replace(self.sampler, sources=sources), self.selection)

    def with_reasons(
        self, label: int, name: str, number: int, seed: int
    ) -> tuple[Pixels, NDArray[np.str_]]:
        """A whole block of candidates, and why each is rejected ("" where it is not), (64,)."""
        with machine.threads(1):
            drawn = self.sampler.block(label, name, number, seed)
            reasons = np.full(len(drawn), "", dtype="U9")
            if self.selection is not None and name in self.selection.record.classes:
                reasons = self.selection.reasons(drawn, label)
        if self.sampler.sources is not None:
            fresh = self.sampler.source_block(label, name, number, seed).fresh
            reasons[~fresh & (reasons == "")] = "row again"
        return drawn, reasons

    def arrays(self) -> Arrays:
        """What is saved of the sampler and of the selection."""
        return self.sampler.arrays() | (self.selection.arrays() if self.selection else {})


def first_block(span: int, *, selecting: bool) -> int:
    """Return the first block of a span; those of a selected span go on as long as it takes.

    >>> first_block(2, selecting=False), first_block(1, selecting=True) > 10**6
    (32, True)
    """
    return span << 20 if selecting else span * SPAN // BLOCK


def check_going_on(name: str, accepted: int, blocks: int) -> None:
    """Raise TooFewAcceptedError where a sequence, unlike the calibration, hardly keeps anything.

    accepted: accepted candidates of the first `blocks` whole blocks.
    """
    if blocks >= PATIENCE_BLOCKS and accepted < HOPELESS * blocks * BLOCK:
        raise TooFewAcceptedError(
            f"{accepted} of the first {blocks * BLOCK} candidates for {name!r} with this seed are "
            "worth keeping, far fewer than at the end of the fit: take another seed, or fit with "
            "--no-selection (selection=False)"
        )


def load_selection(
    arrays: Mapping[str, NDArray[np.generic]], meta: ModelMeta, compute: ComputeConfig
) -> Selection | None:
    """The selection that was saved, None where there is none. Raises ModelFileError."""
    record = meta.selection
    if record is None:
        return None
    names = tuple(meta.classes)
    if not set(record.classes) <= set(names):
        raise ModelFileError("the selection speaks of classes that this model does not have")
    _check_thresholds(record)
    geometry = Geometry.of(meta.image_shape)
    used = [of_class.thresholds for of_class in record.classes.values()]
    discriminator = real = None
    if any(thresholds.logit is not None for thresholds in used):
        discriminator = restored_network(
            lambda: new_discriminator(meta.recipe, geometry, len(names)),
            below(arrays, f"{PREFIX}/discriminator"),
            compute.device,
        )

    def classifier(part: str, classes: int) -> SmallCNN:
        network = restored_network(
            lambda: new_layers(meta.image_shape, classes),
            below(arrays, f"{PREFIX}/{part}"),
            torch.device("cpu"),
        )
        return SmallCNN(network)

    if any(thresholds.real is not None for thresholds in used):
        real = classifier("real", 2)
    folds = tuple(classifier(f"fold-{fold}", len(names)) for fold in range(record.folds))
    rows = tuple(
        rows_by_label(arrays, f"{PREFIX}/rows-{fold}", len(names), FEATURES)
        for fold in range(record.folds)
    )
    critics = Critics(folds, rows, discriminator, real, geometry, compute)
    return Selection(critics, record, names)


def _check_thresholds(record: SelectionRecord) -> None:
    """ModelFileError where a class has distances for another number of folds."""
    for name, of_class in record.classes.items():
        for values in (of_class.thresholds.far, of_class.thresholds.near):
            if values is not None and len(values) != record.folds:
                raise ModelFileError(
                    f"the selection of {name!r} has {len(values)} distances for {record.folds} "
                    "folds"
                )
