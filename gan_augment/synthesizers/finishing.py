"""The end of a fit: the best generator with its anchors, what is kept of it, its description."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gan_augment.data.contract import LabelledImages
from gan_augment.networks.geometry import Geometry
from gan_augment.networks.images import AnchoredGenerator
from gan_augment.progress import Progress
from gan_augment.synthesizers.accepted import AcceptedRows
from gan_augment.synthesizers.block_sampler import BlockSampler, encode_anchors
from gan_augment.synthesizers.model_file import ModelMeta, ScoreRecord
from gan_augment.synthesizers.thresholds import select
from gan_augment.training.loop import Run
from gan_augment.training.parts import load_network

ANCHORS_KEPT_A_CLASS = 4096


def finish(
    data: LabelledImages,
    rows: NDArray[np.int64],
    run: Run,
    selects: bool,
    told: Mapping[str, Any],
    progress: Progress,
) -> tuple[AcceptedRows, ModelMeta]:
    """What samples, and what it says of itself.

    rows: the training rows. selects: whether only what is worth keeping is given. told: what of the
    description the run does not know.
    """
    sampler = _best_sampler(data, rows, run, progress)
    selection = artefacts = None
    if selects:
        progress.phase("choosing which samples are worth keeping")
        parts, discriminator = run.parts, run.state.discriminator
        selection, artefacts = select(
            data,
            rows,
            sampler,
            discriminator.requires_grad_(False).eval(),
            parts.recipe.selection,
            run.state.seed,
        )
    facts = _facts(data, run, sampler)
    facts |= {"artefacts": artefacts, "selection": selection.record if selection else None}
    return AcceptedRows(sampler, selection), ModelMeta.model_validate({**facts, **told})


def _best_sampler(
    data: LabelledImages, rows: NDArray[np.int64], run: Run, progress: Progress
) -> BlockSampler:
    """The best averaged generator, with the codes of its anchor rows."""
    network, parts, best = run.state.average, run.parts, run.best
    geometry = Geometry.of(data.image_shape)
    if best.arrays:
        load_network(network, best.arrays)
    else:
        progress.warn(
            "no scored generator had enough spread (or too many were copies); the last one is "
            "kept. Look at samples.png before using it; more steps or more rows of the class "
            "may cure it."
        )
    codes = None
    if isinstance(network, AnchoredGenerator):
        by_class = {
            label: rows[data.labels[rows] == label][:ANCHORS_KEPT_A_CLASS]
            for label in range(len(data.names))
        }
        codes = encode_anchors(network, data.pixels, by_class, geometry, parts.machine)
    sizes = dict(enumerate(data.counts.values()))
    return BlockSampler(network, geometry, parts.machine, parts.recipe.generator, codes, sizes)


def _facts(data: LabelledImages, run: Run, sampler: BlockSampler) -> dict[str, Any]:
    """What the run knows of the description."""
    parts, best = run.parts, run.best
    is_anchored = parts.recipe.generator.kind == "anchored"
    alone = is_anchored and bool(best.arrays) and best.step <= parts.first_steps(run.steps)
    kept = f"step {best.step if best.arrays else run.steps}"
    return {
        "classes": data.counts,
        "image_shape": data.image_shape,
        "recipe": parts.recipe,
        "steps": run.steps,
        "seed": run.state.seed,
        "precision": parts.machine.precision,
        "threads": parts.machine.threads,
        "score": ScoreRecord(
            value=best.value if best.arrays else None, step=best.step, parts=best.parts
        ),
        "chosen": "interpolation" if alone else kept,
        "anchors": sum(len(codes) for codes in (sampler.codes or {}).values()),
    }
