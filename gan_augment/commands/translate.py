"""`translate`: real rows of one class, or of one domain, drawn as of another one, into a folder.

Which rows a sample starts from is in `generators/source_rows.py`; training in `fitting.py`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from gan_augment.commands.kinds import (
    ImageKind,
    model_sha256,
    options_of_model,
    read_data,
    read_meta,
)
from gan_augment.commands.outputs import (
    NOT_OF_THE_OUTPUT,
    FolderOutput,
    Result,
    check_apart,
    new_run_folder,
    output_folder,
)
from gan_augment.commands.sample import write_images
from gan_augment.data.images.png_folder import (
    ManifestRow,
    check_png_channels,
    safe_names,
    with_sources,
)
from gan_augment.data.images.reader import ReadImages, read_images
from gan_augment.errors import (
    DataError,
    TooFewAcceptedError,
    UsageError,
    unknown_class,
)
from gan_augment.generators import model_folder
from gan_augment.generators.gan import check_code
from gan_augment.generators.model_file import ModelMeta
from gan_augment.kinds.kind import Labelled
from gan_augment.options import MOST, FitOptions
from gan_augment.progress import Progress
from gan_augment.recipes import resolve_recipe

if TYPE_CHECKING:
    from gan_augment.generators.image_gan import ImageGAN

__all__ = ["TranslateResult", "TranslationPlan", "plan_translate", "translate"]

Counts = Mapping[str, int] | int | None


@dataclass(frozen=True)
class TranslateResult(Result):
    """What was drawn. counts: {class: images}. acceptance: {class or domain: the share of samples
    that arrived there, of those drawn at the end of the fit}. kept: found from a stopped run.
    """

    out: Path
    run: Path
    counts: dict[str, int]
    kept: int
    acceptance: dict[str, float]
    recipe: str

    def lines(self) -> list[str]:
        """The same for people."""
        total = sum(self.counts.values())
        kept = f" ({self.kept} were there)" if self.kept else ""
        arrived = [f"  arrived at {name}: {share:.0%}" for name, share in self.acceptance.items()]
        rows = [f"  {name}: {n}" for name, n in self.counts.items()]
        return [f"{total} images by {self.recipe}{kept}", *rows, *arrived, f"model: {self.run}"]


@dataclass(frozen=True)
class TranslationPlan:
    """What is drawn from what.

    kind: the data that a model is fitted to, its classes those that are translated between.
    sources: {class of the output: rows to start from}; counts: {class of the output: {class of
    the model: images}}.
    """

    kind: ImageKind
    sources: Mapping[str, Labelled]
    counts: Mapping[str, Mapping[str, int]]

    def lines(self) -> list[str]:
        """What would be drawn, for people."""
        return [
            f"{n} images of {label}"
            + (f" as of {name}" if name != label else "")
            + f", from {len(self.sources[label])} rows"
            for label, of_model in self.counts.items()
            for name, n in of_model.items()
        ]

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        counts = {label: dict(of_model) for label, of_model in self.counts.items()}
        return {"counts": counts, "sources": {k: len(rows) for k, rows in self.sources.items()}}


def translate(
    data: str | Path,
    out: str | Path,
    *,
    source: str | Sequence[str],
    to: str | Sequence[str],
    counts: Counts = None,
    domain: str | None = None,
    masks: str | Path | None = None,
    model: str | Path | None = None,
    options: FitOptions | None = None,
    run: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    allow_code: bool = False,
    progress: Progress | None = None,
) -> TranslateResult:
    """Write `out/<class>/000000.png`, ... with rows of some classes drawn as others; a manifest.

    Parameters
    ----------
    data
        A folder of classes, a manifest or an `.npz`; it is only read.
    source, to
        Classes whose rows are drawn, "all" for all others, and those that they are drawn as; with
        `domain`, values of that column.
    counts
        Images of each class of the output {name: n}, or one number for every one. None is what
        brings a class level with the largest one, at most half as many as there are rows to start
        from, since some do not arrive; with `domain` this half.
    domain
        A column of a manifest (scanner, site, camera): a row is drawn as of another domain and
        keeps its class.
    masks
        For the recipe "inpaint": a folder of images called as those of `data`, not black where a
        row is to be redrawn.
    model
        A run to draw with; None fits one first, with `options` (recipe "auto" is "stargan"), into
        `run`, by default where `fit` puts it.
    resume
        Go on where a stopped call with the same arguments was.

    Raises
    ------
    GanAugmentError
        DataError, UsageError, UnknownClassError, what `fit` raises, and TooFewAcceptedError where
        too few samples arrive at their class; the run is kept then.
    """
    origin, out, progress = Path(data), Path(out), progress or Progress()
    check_apart(origin, out)
    meta = _meta(model, allow_code=allow_code)
    with output_folder(out, "translate", resume=resume, overwrite=overwrite) as output:
        plan = _plan(origin, source, to, counts, domain, options or FitOptions(), meta, progress)
        regions = {} if masks is None else _regions(Path(masks), plan, progress)
        output.check_room(0, sum(sum(of.values()) for of in plan.counts.values()))
        made_from = _made_from(plan, domain, model, regions)
        if model:
            trained, gan = Path(model), None
            output.describe(made_from)
        else:
            from gan_augment.commands.fit import model_for_output

            trained = Path(output.notes.get("run") or run or new_run_folder(origin))
            check_apart(origin, trained)
            output.describe(made_from, run=str(trained))
            replacing = overwrite and run is not None
            gan, digest = model_for_output(output, origin, trained, plan.kind, replacing, progress)
            output.describe(made_from, trained=digest)
        gan = cast("ImageGAN | None", gan) or _load(trained, plan.kind.options)
        kept = _write(output, plan, gan, trained, regions, progress)
    chosen = gan.meta_.selection.classes if gan.meta_.selection else {}
    names = {name for of_model in plan.counts.values() for name in of_model}
    return TranslateResult(
        out=out,
        run=trained,
        counts={label: sum(of.values()) for label, of in plan.counts.items()},
        kept=kept,
        acceptance={n: one.acceptance or 0.0 for n, one in chosen.items() if n in names},
        recipe=gan.recipe_.name,
    )


def plan_translate(
    data: str | Path,
    *,
    source: str | Sequence[str],
    to: str | Sequence[str],
    counts: Counts = None,
    domain: str | None = None,
    model: str | Path | None = None,
    options: FitOptions | None = None,
) -> TranslationPlan:
    """What `translate` would draw, from what. Writes nothing, and raises what it raises first."""
    meta = _meta(model, allow_code=True)
    return _plan(Path(data), source, to, counts, domain, options or FitOptions(), meta, Progress())


def _meta(model: str | Path | None, *, allow_code: bool) -> ModelMeta | None:
    """The description of a model that starts from rows of other classes, or redraws them."""
    if model is None:
        return None
    meta = read_meta(model)
    check_code(meta.recipe, allowed=allow_code)
    _check_recipe(meta.recipe.name, meta.recipe.generator.kind, of=f"the model {str(model)!r}")
    assert isinstance(meta, ModelMeta)
    return meta


def _check_recipe(name: str, kind: str, of: str) -> None:
    if kind not in ("translation", "pairs", "style", "fourier", "inpainting"):
        raise UsageError(
            f"{of} has the recipe {name!r}, which draws no row as of another class; expected "
            "stargan, cyclegan, pix2pix, adain, fourier or inpaint"
        )


def _plan(
    origin: Path,
    source: str | Sequence[str],
    to: str | Sequence[str],
    counts: Counts,
    domain: str | None,
    options: FitOptions,
    meta: ModelMeta | None,
    progress: Progress,
) -> TranslationPlan:
    """Read the data and say what is drawn from what."""
    if options.target is not None:
        raise UsageError("translation is for images, and --target names a column of a table")
    if meta is not None:
        options = options_of_model(options, meta)
    elif options.recipe == "auto":
        options = options.model_copy(update={"recipe": "stargan"})
    recipe = meta.recipe if meta else resolve_recipe(options.recipe)
    _check_recipe(recipe.name, recipe.generator.kind, of="the call")
    more = () if domain is None else (domain,)
    kind = read_data(origin, options, progress, more=more)
    if not isinstance(kind, ImageKind) or not isinstance(kind.read, ReadImages):
        raise UsageError("translation is for images, and the data is signals")
    check_png_channels(kind.data.image_shape[2])
    rows, classes = kind.data, kind.data
    if domain is not None:
        classes = _by_domain(rows, kind.read.columns[domain], domain)
    starts, ends = _named(source, to, classes)
    if recipe.game.by_class or recipe.generator.kind == "pairs":
        rows, classes = _one_pair(rows, classes, starts, ends, recipe.name)
    _check_known(ends, meta)
    from_rows = np.isin(classes.labels, [classes.names.index(name) for name in starts])
    sources = _sources(rows, np.flatnonzero(from_rows), ends, keeps_class=domain is not None)
    if not sources:
        raise DataError(f"{', '.join(starts)} hold no row to start from")
    wanted = _counts(counts, sources, ends, classes.counts, keeps_class=domain is not None)
    if recipe.generator.kind == "translation":
        _check_once(wanted, sources, recipe.name)
    options = options.model_copy(update={"classes": tuple(ends)})
    fitted = ImageKind(replace(kind.read, data=classes), options)
    return TranslationPlan(fitted, sources, wanted)


def _check_known(names: Sequence[str], meta: ModelMeta | None) -> None:
    """Raise UnknownClassError for a class that a model does not draw."""
    for name in names:
        if meta is not None and name not in meta.classes:
            raise unknown_class(name, meta.classes)


def _one_pair(
    rows: Labelled,
    classes: Labelled,
    starts: Sequence[str],
    ends: Sequence[str],
    recipe: str,
) -> tuple[Labelled, Labelled]:
    """Both views of the data with the rows of one pair of classes alone. Raises UsageError."""
    if len(starts) != 1 or len(ends) != 1:
        raise UsageError(
            f"the recipe {recipe!r} is for one pair of classes; name one with --from and one with "
            "--to, or take stargan"
        )
    names = [*starts, *ends]
    held = np.flatnonzero(np.isin(classes.labels, [classes.names.index(name) for name in names]))
    return rows.take(held), _of_some(classes.take(held), names)


def _check_once(
    wanted: Mapping[str, Mapping[str, int]], sources: Mapping[str, Labelled], recipe: str
) -> None:
    """Refuse, before a fit, more images than there are rows that make one each."""
    for label, of_model in wanted.items():
        most, n = len(sources[label]), max(of_model.values())
        if n > most:
            raise TooFewAcceptedError(
                f"{n:,} images of {label!r} were asked for, and {most:,} rows are there to start "
                f"from, each of which makes one by {recipe!r}: ask for fewer, name more classes "
                "with --from, or take --recipe adain, which draws a row in many styles"
            )


def _by_domain(data: Labelled, values: Sequence[str], domain: str) -> Labelled:
    """The data with domains for classes. Raises DataError for a row without one, and for one."""
    if "" in values:
        row = values.index("")
        raise DataError(f"{str(data.ids[row])!r} has no {domain}; fill the column, or drop the row")
    names, labels = np.unique(np.array(values), return_inverse=True)
    if len(names) < 2:
        raise DataError(f"all rows are of one {domain}, {names[0]!r}; expected two or more")
    labels = labels.astype(np.int64)
    return replace(data, labels=labels, class_names=tuple(names.tolist()))


def _of_some(data: Labelled, names: Sequence[str]) -> Labelled:
    """The data, whose rows are of these classes alone, without the other names."""
    ordered = tuple(name for name in data.names if name in names)
    places = {data.names.index(name): place for place, name in enumerate(ordered)}
    labels = np.array([places[label] for label in data.labels.tolist()], dtype=np.int64)
    return replace(data, labels=labels, class_names=ordered)


def _named(
    source: str | Sequence[str], to: str | Sequence[str], data: Labelled
) -> tuple[list[str], list[str]]:
    """Classes to start from and to draw. Raises UnknownClassError, UsageError."""
    ends = [to] if isinstance(to, str) else list(to)
    if isinstance(source, str):
        others = [name for name in data.names if name not in ends]
        source = others if source == "all" and "all" not in data.names else [source]
    starts = list(source)
    for name in (*starts, *ends):
        if name not in data.names:
            raise unknown_class(name, data.counts)
    if not starts or not ends or set(starts) & set(ends):
        raise UsageError(
            f"from {', '.join(starts) or 'nothing'} to {', '.join(ends) or 'nothing'}: name "
            "different classes, one or more on each side"
        )
    return starts, ends


def _sources(
    rows: Labelled, index: NDArray[np.int64], ends: Sequence[str], *, keeps_class: bool
) -> dict[str, Labelled]:
    """{class of the output: rows to start from}: of its own class, or the same ones for all."""
    if not keeps_class:
        return dict.fromkeys(ends, rows.take(index)) if len(index) else {}
    own = {name: index[rows.labels[index] == label] for label, name in enumerate(rows.names)}
    return {name: rows.take(of_it) for name, of_it in own.items() if len(of_it)}


def _counts(
    counts: Counts,
    sources: Mapping[str, Labelled],
    ends: Sequence[str],
    known: Mapping[str, int],
    *,
    keeps_class: bool,
) -> dict[str, dict[str, int]]:
    """{class of the output: {class of the model: images}}. Raises UsageError."""
    if isinstance(counts, Mapping):
        for name in counts:
            if name not in sources:
                raise unknown_class(name, dict.fromkeys(sources, 0))
    wanted: dict[str, dict[str, int]] = {}
    for label, rows in sources.items():
        of_model = ends if keeps_class else [label]
        half = max(len(rows) // 2, 1)
        usual = half if keeps_class else min(max(max(known.values()) - known[label], 1), half)
        every = usual if counts is None else counts
        n = every.get(label, 0) if isinstance(every, Mapping) else every
        if isinstance(n, bool) or not isinstance(n, int) or not 0 <= n <= MOST:
            raise UsageError(f"{n!r} images of {label!r}; expected a whole number, 0 to {MOST:,}")
        if n:
            wanted[label] = dict.fromkeys(of_model, n)
    if not wanted:
        raise UsageError("there is nothing to draw; say how many images, such as --counts 100")
    return wanted


def _regions(
    masks: Path, plan: TranslationPlan, progress: Progress
) -> dict[str, NDArray[np.uint8]]:
    """{class of the output: masks of its source rows, uint8 (n, H, W)}."""
    kind = plan.kind
    if kind.recipe().generator.kind != "inpainting":
        raise UsageError("--masks is for the recipe inpaint, which redraws a region; leave it out")
    read = read_images(
        masks,
        image_size=kind.data.image_shape[:2],
        resize=kind.options.resize,
        workers=kind.options.workers,
        progress=progress,
    ).data
    place = {_stem(id_): row for row, id_ in enumerate(read.ids.tolist())}
    regions = {}
    for label, rows in plan.sources.items():
        absent = [id_ for id_ in rows.ids.tolist() if _stem(id_) not in place]
        if absent:
            raise DataError(
                f"{len(absent)} of {len(rows)} rows have no mask in {str(masks)!r}, such as "
                f"{absent[0]!r}; expected one of the same path for each row of --from"
            )
        index = [place[_stem(id_)] for id_ in rows.ids.tolist()]
        regions[label] = read.pixels[index].max(axis=3)
        if not regions[label].any(axis=(1, 2)).all():
            raise DataError(f"a mask for {label!r} is all black, so nothing would be redrawn")
    return regions


def _stem(path: str) -> str:
    return path.rpartition(".")[0] or path


def _made_from(
    plan: TranslationPlan,
    domain: str | None,
    model: str | Path | None,
    regions: Mapping[str, NDArray[np.uint8]],
) -> dict[str, Any]:
    """What decides the output; a resumed call must give the same."""
    excluded = NOT_OF_THE_OUTPUT | {"target", "columns", "most_rows"}
    seen = hashlib.sha256()
    for label, masks in regions.items():
        seen.update(label.encode() + masks.tobytes())
    return {
        "data": plan.kind.sha256,
        "sources": {label: rows.ids.tolist() for label, rows in plan.sources.items()},
        "counts": {label: dict(of_model) for label, of_model in plan.counts.items()},
        "domain": domain,
        "masks": seen.hexdigest() if regions else None,
        "options": plan.kind.options.model_dump(mode="json", exclude=excluded),
        "model": model_sha256(model) if model else None,
    }


def _load(run: Path, options: FitOptions) -> ImageGAN:
    from gan_augment.generators.image_gan import ImageGAN

    how: dict[str, Any] = {"device": options.device, "threads": options.threads}
    return ImageGAN.load(model_folder(run), **how, allow_code=True)  # as `_meta` was allowed to


def _write(
    output: FolderOutput,
    plan: TranslationPlan,
    gan: ImageGAN,
    run: Path,
    regions: Mapping[str, NDArray[np.uint8]],
    progress: Progress,
) -> int:
    """Write the images of every class and the manifest; how many were there before."""
    folders = safe_names(plan.counts)
    paths: dict[str, dict[str, list[str]]] = {}
    rows: list[ManifestRow] = []
    for label, of_model in plan.counts.items():
        ends = safe_names(of_model)
        paths[label] = {
            name: [
                f"{folders[label]}/{'' if len(ends) == 1 else ends[name] + '-'}{i:06d}.png"
                for i in range(n)
            ]
            for name, n in of_model.items()
        }
        for own in paths[label].values():
            rows += [ManifestRow(p, label, "synthetic", run.name, i) for i, p in enumerate(own)]
    output.plan(rows)
    progress.phase("translating", len(rows))
    done = before = 0
    refused: dict[str, str] = {}
    for label, named in paths.items():
        there, why = write_images(
            model_folder(run),
            output.path,
            named,
            gan=gan.starting_from(plan.sources[label]),
            seed=plan.kind.options.seed,
            workers=1,
            keep=output.resuming,
            advance=lambda n, done=done: progress.advance(done + n),  # type: ignore[misc]
        )
        before += there
        done += sum(map(len, named.values()))
        gone = {path for name in why for path in named[name]}
        rows = [row for row in rows if row.path not in gone]
        refused |= {f"{label}: {name}": text for name, text in why.items()}
    output.finish(with_sources(output.path, rows))
    if refused:
        raise TooFewAcceptedError(
            f"{'; '.join(refused.values())}. The run {str(run)!r} is kept: --model draws with it "
            "again"
        )
    return before
