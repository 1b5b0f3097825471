"""Selection: classifiers and D score candidates, stored thresholds decide which are kept.

`calibration.py` sets the thresholds at the end of a fit.
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
from gan_augment.generators.image_sampler import BLOCK, ImageSampler, rows_by_label
from gan_augment.generators.model_file import ModelMeta, SelectionRecord, Thresholds
from gan_augment.generators.source_rows import SourcePool
from gan_augment.machine import ComputeConfig
from gan_augment.metrics.neighbours import nearest_distances
from gan_augment.networks.geometry import Geometry
from gan_augment.networks.layers import split_verdict
from gan_augment.training.images import new_discriminator
from gan_augment.training.parts import Arrays, below, network_arrays, restored_network

CRITERIA = ("label", "outlier", "copy", "logit")
"""The first criterion that a candidate fails is the reason of its rejection."""
PATIENCE_BLOCKS = 16
LEAST_KEPT = 0.02
"""Share of the candidates of `PATIENCE_BLOCKS` blocks below which a sequence gives up."""

Pixels = NDArray[Any]


@dataclass(frozen=True)
class Scores:
    """Scores of n images of one class, float64.

    label: p(class | image) by the least convinced classifier, (n,).
    distance: to the nearest training row of the class in each classifier's features, (folds, n);
    inf where a classifier knows no row of the class.
    logit: of D, (n,).
    """

    label: NDArray[np.float64]
    distance: NDArray[np.float64]
    logit: NDArray[np.float64]


@dataclass(frozen=True)
class Selection:
    """The networks that score candidates, and the thresholds that were set at the end of fit.

    classifiers: each trained without one fold of the rows.
    rows: for each classifier {label: float32 (n, 128)}, features of rows that it was trained on.
    discriminator: in its final state, None where no criterion needs it.
    names: the classes by label.
    """

    classifiers: tuple[SmallCNN, ...]
    rows: tuple[dict[int, NDArray[np.float32]], ...]
    discriminator: nn.Module | None
    geometry: Geometry
    compute: ComputeConfig
    names: tuple[str, ...]
    record: SelectionRecord

    def scores(self, pixels: Pixels, label: int) -> Scores:
        """Score images of a class, (n, H, W, C); whole blocks give the same bits everywhere."""
        of_label, distances = [], []
        for classifier, rows in zip(self.classifiers, self.rows, strict=True):
            features = classifier.features(pixels)
            of_label.append(classifier.probabilities_of(features)[:, label].astype(np.float64))
            distances.append(
                nearest_distances(features, rows[label])
                if label in rows
                else np.full(len(pixels), np.inf)
            )
        unknown = np.full(len(pixels), np.nan)
        return Scores(
            label=np.min(of_label, axis=0) if of_label else unknown,
            distance=np.stack(distances) if distances else np.empty((0, len(pixels))),
            logit=unknown if self.discriminator is None else self._logits(pixels, label),
        )

    def reasons(self, pixels: Pixels, label: int) -> NDArray[np.str_]:
        """Return the criterion that each image of a class fails, "" where it is kept, (n,)."""
        thresholds = self.record.classes[self.names[label]].thresholds
        return failed(self.scores(pixels, label), thresholds)

    def of_fold(self, fold: int) -> Selection:
        """Return the selection by the one classifier that saw no row of a fold."""
        one, classes = slice(fold, fold + 1), {}
        for name, own in self.record.classes.items():
            t = own.thresholds
            distances = {"far": t.far and t.far[one], "near": t.near and t.near[one]}
            thresholds = t.model_copy(update=distances)
            classes[name] = own.model_copy(update={"thresholds": thresholds})
        record = self.record.model_copy(update={"folds": 1, "classes": classes})
        return replace(self, classifiers=self.classifiers[one], rows=self.rows[one], record=record)

    def check_served(self, name: str) -> None:
        """Raise TooFewAcceptedError where a class is refused, DataError where it has no row."""
        record = self.record.classes.get(name)
        if record is None:
            raise DataError(
                f"class {name!r} had no training row, so selection knows nothing of it. Add images "
                "of it and fit again."
            )
        if record.refused:
            raise TooFewAcceptedError(record.refused)

    def arrays(self) -> Arrays:
        """Return weights of the networks and the features of rows, below "selection/"."""
        networks = {f"fold-{k}": one.network for k, one in enumerate(self.classifiers)}
        arrays, every = Arrays(), dict[str, nn.Module](networks)
        if self.discriminator is not None:
            every["discriminator"] = self.discriminator
        for part, network in every.items():
            arrays |= {f"selection/{part}/{k}": v for k, v in network_arrays(network).items()}
        for fold, rows in enumerate(self.rows):
            arrays |= {f"selection/rows-{fold}/{label}": v for label, v in rows.items()}
        return arrays

    @classmethod
    def load(
        cls, arrays: Mapping[str, NDArray[np.generic]], meta: ModelMeta, compute: ComputeConfig
    ) -> Selection | None:
        """Read a saved selection, None where the model has none. Raises ModelFileError."""
        record, names = meta.selection, tuple(meta.classes)
        if record is None:
            return None
        used = [one.thresholds for one in record.classes.values()]
        lengths = {len(k) for t in used for k in (t.far, t.near) if k is not None}
        if not (set(record.classes) <= set(names) and lengths <= {record.folds}):
            raise ModelFileError("the saved selection has other classes or folds than the model")
        own, geometry = below(arrays, "selection"), Geometry.of(meta.image_shape)
        discriminator = None
        if any(thresholds.logit is not None for thresholds in used):
            discriminator = restored_network(
                lambda: new_discriminator(meta.recipe, geometry, len(names)),
                below(own, "discriminator"),
                compute.device,
            )
        folds = range(record.folds)
        classifiers = tuple(
            SmallCNN(
                restored_network(
                    lambda: new_layers(meta.image_shape, len(names)),
                    below(own, f"fold-{fold}"),
                    torch.device("cpu"),
                )
            )
            for fold in folds
        )
        rows = tuple(rows_by_label(own, f"rows-{fold}", len(names), FEATURES) for fold in folds)
        return cls(classifiers, rows, discriminator, geometry, compute, names, record)

    def _logits(self, pixels: Pixels, label: int) -> NDArray[np.float64]:
        """Return D's logits in blocks of 64: its last layer may compare the images of a batch."""
        assert self.discriminator is not None
        parts, device = [np.empty(0)], self.compute.device
        for start in range(0, len(pixels), BLOCK):
            x = to_network(pixels[start : start + BLOCK], self.geometry.padded).to(device)
            y = torch.full((len(x),), label, device=device)
            with machine.threads(1), torch.inference_mode(), self.compute.autocast():
                logits, _ = split_verdict(self.discriminator(x, y))
            parts.append(logits.double().cpu().numpy())
        return np.concatenate(parts)


def failed(scores: Scores, thresholds: Thresholds) -> NDArray[np.str_]:
    """Return the first of `CRITERIA` that each image fails, "" for none, (n,).

    outlier: farther than `far` in every fold. copy: nearer than `near` in any, or equal to a row.
    """
    t, reasons = thresholds, np.full(len(scores.label), "", dtype="U9")
    checks = {
        "label": None if t.label is None else scores.label < t.label,
        "outlier": None
        if t.far is None
        else (scores.distance > np.array(t.far)[:, None]).all(axis=0),
        "copy": None
        if t.near is None
        else ((scores.distance < np.array(t.near)[:, None]) | (scores.distance == 0)).any(axis=0),
        "logit": None if t.logit is None else scores.logit < t.logit,
    }
    for name in reversed(CRITERIA):
        fails = checks[name]
        if fails is not None:
            reasons[fails] = name
    return reasons


class SampleSequence:
    """The kept samples of each class in a fixed order; all candidates where nothing is selected.

    With a selection, samples come in spans of 1,024: sample i of a span is the i-th kept of the
    span's own candidates, so that spans can be drawn independently of each other.
    """

    def __init__(self, sampler: ImageSampler, selection: Selection | None) -> None:
        self.sampler = sampler
        self.selection = selection
        self._kept: dict[tuple[int, int, int], int] = {}  # by label, seed and block

    def rows(
        self, label: int, name: str, start: int, stop: int, seed: int
    ) -> tuple[Pixels, NDArray[np.str_] | None]:
        """Draw samples [start, stop) of a class and the ids of the rows they start from.

        Raises TooFewAcceptedError for a class that is refused, DataError if nothing anchors it.
        """
        shape, sources = self.sampler.geometry.shape, self.sampler.sources
        parts = [np.empty((0, *shape), pixel_dtype(shape))]
        ids = [np.empty(0, dtype=np.str_)]
        for number, first, end in self._blocks(label, name, start, stop, seed):
            place = slice(max(start - first, 0), end - first)
            drawn, reasons = self.candidates(label, name, number, seed)
            parts.append(drawn[reasons == ""][place])
            if sources is not None:
                rows = sources.block(label, name, number, seed, "sample", BLOCK)
                ids.append(sources.ids[rows[reasons == ""][place]])
        return np.concatenate(parts), None if sources is None else np.concatenate(ids)

    def candidates(
        self, label: int, name: str, number: int, seed: int
    ) -> tuple[Pixels, NDArray[np.str_]]:
        """Draw a whole block of candidates, and why each is rejected ("" for none), (64,)."""
        with machine.threads(1):
            drawn = self.sampler.block(label, name, number, seed)
            reasons = np.full(len(drawn), "", dtype="U9")
            if self.selection is not None and name in self.selection.record.classes:
                reasons = self.selection.reasons(drawn, label)
        if self.sampler.sources is not None:
            repeats = ~self.sampler.sources.fresh(label, number, BLOCK)
            reasons[repeats & (reasons == "")] = "row again"
        self._kept[label, seed, number] = int((reasons == "").sum())
        return drawn, reasons

    def with_sources(self, sources: SourcePool) -> SampleSequence:
        """Return the samples that start from other rows."""
        return SampleSequence(replace(self.sampler, sources=sources), self.selection)

    def arrays(self) -> Arrays:
        """Return what is saved of the sampler and of the selection."""
        return self.sampler.arrays() | (self.selection.arrays() if self.selection else {})

    def _blocks(
        self, label: int, name: str, start: int, stop: int, seed: int
    ) -> Iterator[tuple[int, int, int]]:
        """Yield (block, its first sample, end of its span) of the blocks that hold samples."""
        if self.selection is None:
            for number in range(start // BLOCK, -(-stop // BLOCK)):
                yield number, number * BLOCK, stop
            return
        self.selection.check_served(name)
        size = self.sampler.settings.span
        for span in range(start // size, -(-stop // size)):
            first, end = span * size, min(stop, (span + 1) * size)
            for block in itertools.count():
                if first >= end:
                    break
                number = (span << 20) + block  # a span has as many blocks as it needs
                kept = self._kept.get((label, seed, number))
                if kept is None or first + kept > start:
                    yield number, first, end
                first += self._kept[label, seed, number]
                check_going_on(name, first - span * size, block + 1)


def check_going_on(name: str, kept: int, blocks: int) -> None:
    """Raise TooFewAcceptedError where the first blocks of a span hardly hold a kept sample."""
    if blocks >= PATIENCE_BLOCKS and kept < LEAST_KEPT * blocks * BLOCK:
        raise TooFewAcceptedError(
            f"selection keeps {kept} of the first {blocks * BLOCK} candidates for {name!r} with "
            "this seed, far fewer than at the end of the fit: use another seed, or fit with "
            "--no-selection (selection=False)"
        )
