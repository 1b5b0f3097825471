"""`translate`: real images of some classes drawn as images of other classes, into a folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from gan_augment.commands.sample import wanted_rows
from gan_augment.commands.source import Source, read_data, read_meta
from gan_augment.commands.writing import (
    Result,
    check_apart,
    next_command,
    output,
    write_drawn,
)
from gan_augment.data.images.png_folder import check_png_channels
from gan_augment.errors import DataError, TooFewAcceptedError, UsageError, unknown_class
from gan_augment.generators import load_model
from gan_augment.generators.model_file import ModelMeta
from gan_augment.kinds.image import IMAGE
from gan_augment.kinds.kind import Labelled
from gan_augment.options import FitOptions
from gan_augment.progress import Progress
from gan_augment.recipes import resolve_recipe

__all__ = ["TranslateResult", "TranslationPlan", "plan_translate", "translate"]

Counts = Mapping[str, int] | int | None


class TranslateResult(Result):
    """Images by class; `acceptance`: {class: share that classifiers recognised}."""

    out: Path
    run: Path
    counts: dict[str, int]
    acceptance: dict[str, float]
    recipe: str

    def lines(self) -> list[str]:
        rows = [f"  {name}: {n}" for name, n in self.counts.items()]
        accepted = [f"  accepted as {name}: {p:.0%}" for name, p in self.acceptance.items()]
        total = f"{sum(self.counts.values())} images by {self.recipe}"
        return [total, *rows, *accepted, f"model: {self.run}"]


@dataclass(frozen=True)
class TranslationPlan:
    """What is drawn from what: the data to fit, the rows to start from, and {class: images}."""

    data: Source
    sources: Labelled
    counts: Mapping[str, int]

    def lines(self) -> list[str]:
        rows = len(self.sources)
        return [f"{n} images of {label}, from {rows} images" for label, n in self.counts.items()]

    def to_dict(self) -> dict[str, Any]:
        return {"counts": dict(self.counts), "sources": len(self.sources)}


def translate(
    data: str | Path,
    out: str | Path,
    *,
    source: str | Sequence[str],
    to: str | Sequence[str],
    counts: Counts = None,
    model: str | Path | None = None,
    options: FitOptions | None = None,
    run: str | Path | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> TranslateResult:
    """Write `out/<class>/000000.png`, ... with rows of some classes drawn as others; a manifest.

    - data, out: A folder of classes, a manifest or an `.npz`; the folder to write.
    - source, to: The classes whose rows are drawn, "all" for all others, and the classes they are
      drawn as.
    - counts: Images of each class {name: n}, or one number for every class. None brings a class
      level with the largest class, by at most half of the rows to start from: samples are rejected.
    - model: A run to draw with. None fits one first; the recipe "auto" is "stargan" here.
    - options, run: The options of the fit, and the folder of its run, by default where `fit` puts
      it.
    - overwrite, progress: Replace an earlier output; show progress, notes and warnings.

    Raises GanAugmentError (among them TooFewAcceptedError if too few samples are accepted; the run
    is kept then).
    """
    from gan_augment.commands.fit import fitted_for

    out, progress = Path(out), progress or Progress()
    check_apart(Path(data), out)
    named: dict[str, Any] = {"source": source, "to": to, "counts": counts}
    named |= {"model": model, "options": options}
    with output(out, overwrite=overwrite) as part:
        plan = plan_translate(data, progress=progress, **named)
        how = plan.data.options
        trained = Path(model) if model else None
        trained = trained or fitted_for(plan.data, run, progress, overwrite=overwrite)
        gan: Any = load_model(trained, device=how.device, threads=how.threads)
        drawn: dict[str, Any] = {"seed": how.seed, "workers": 1, "progress": progress}
        gan.selection &= how.selection
        write_drawn(part, gan.starting_from(plan.sources), trained.name, plan.counts, **drawn)
    chosen = gan.meta_.selection.classes if gan.meta_.selection else {}
    return TranslateResult(
        out=out,
        run=trained,
        counts=dict(plan.counts),
        acceptance={n: one.acceptance or 0.0 for n, one in chosen.items() if n in plan.counts},
        recipe=gan.meta_.recipe.name,
        following=next_command("inspect", trained),
    )


def plan_translate(
    data: str | Path,
    *,
    source: str | Sequence[str],
    to: str | Sequence[str],
    counts: Counts = None,
    model: str | Path | None = None,
    options: FitOptions | None = None,
    progress: Progress | None = None,
) -> TranslationPlan:
    """Return what `translate` would draw, and from what. Writes nothing."""
    options = options or FitOptions()
    if options.target is not None:
        raise UsageError("translation is for images, and --target for tables")
    meta = read_meta(model) if model else None
    if meta:
        options = meta.options(options)
    elif options.recipe == "auto":
        options = options.model_copy(update={"recipe": "stargan"})
    recipe = meta.recipe if meta else resolve_recipe(options.recipe)
    if not recipe.generator.from_rows or recipe.generator.enlarges > 1:
        raise UsageError(
            f"the recipe {recipe.name!r} does not translate images; expected stargan, cyclegan, "
            "pix2pix, adain, fourier or inpaint"
        )
    read = read_data(data, options, progress)
    if read.kind is not IMAGE:
        raise UsageError(f"translation is for images, and the data is {read.kind.unit}")
    check_png_channels(read.data.image_shape[2])
    rows = read.data
    starts, ends = _named(source, to, rows, meta)
    if recipe.game.by_class or recipe.generator.facts.paired:
        if len(starts) != 1 or len(ends) != 1:
            raise UsageError(
                f"the recipe {recipe.name!r} is for one pair of classes; name one in --from "
                "(source=) and one in --to, or take stargan"
            )
        names = tuple(name for name in rows.names if name in (*starts, *ends))
        own, numbers = _of(rows, names), [rows.names.index(name) for name in names]
        labels = np.searchsorted(numbers, own.labels)
        rows = replace(own, labels=labels, class_names=names)
    sources = _of(rows, starts)
    if not len(sources):
        raise DataError(f"there is no image of {', '.join(starts)} to start from")
    wanted = _counts(counts, len(sources), ends, rows.counts)
    if recipe.generator.facts.once and max(wanted.values()) > len(sources):
        raise TooFewAcceptedError(
            f"{max(wanted.values()):,} images were requested, and {recipe.name!r} makes one from "
            f"each of the {len(sources):,} images to start from. Ask for fewer, name more classes "
            "with --from (source=), or take --recipe adain, which draws an image in many styles."
        )
    options = options.model_copy(update={"classes": tuple(ends)})
    fitted = replace(read, read=replace(read.read, data=rows), options=options)
    return TranslationPlan(fitted, sources, wanted)


def _of(rows: Labelled, names: Sequence[str]) -> Labelled:
    numbers = [rows.names.index(name) for name in names]
    return rows.take(np.flatnonzero(np.isin(rows.labels, numbers)))


def _named(
    source: str | Sequence[str], to: str | Sequence[str], data: Labelled, meta: ModelMeta | None
) -> tuple[list[str], list[str]]:
    """Return the classes to start from and to draw. Raises UnknownClassError, UsageError."""
    ends = [to] if isinstance(to, str) else list(to)
    if isinstance(source, str):
        others = [name for name in data.names if name not in ends]
        source = others if source == "all" and "all" not in data.names else [source]
    starts = list(source)
    for name in (*starts, *ends):
        if name not in data.names:
            raise unknown_class(name, data.counts)
    for name in ends:
        if meta and name not in meta.classes:
            raise unknown_class(name, meta.classes)
    if not starts or not ends or set(starts) & set(ends):
        raise UsageError(
            f"from {', '.join(starts) or 'nothing'} to {', '.join(ends) or 'nothing'}: expected "
            "different classes in --from (source=) and in --to"
        )
    return starts, ends


def _counts(
    counts: Counts, sources: int, ends: Sequence[str], known: Mapping[str, int]
) -> dict[str, int]:
    if isinstance(counts, Mapping):
        wanted = wanted_rows(counts, dict.fromkeys(ends, 0), "images")
        return {name: wanted[name] for name in ends if name in wanted}
    half, largest = max(sources // 2, 1), max(known.values())
    level = {name: min(max(largest - known[name], 1), half) for name in ends}
    return wanted_rows(level if counts is None else dict.fromkeys(ends, counts), level, "images")
