"""`augment`: from labelled data to a topped-up copy. `plan_augment`: only how the classes end."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from gan_augment.commands.sample import table_rows
from gan_augment.commands.source import Source, read_data, read_meta
from gan_augment.commands.writing import (
    Result,
    check_apart,
    draw_images,
    next_command,
    output,
)
from gan_augment.data.images.png_folder import (
    LONGEST_BYTES,
    MANIFEST,
    ManifestRow,
    Origin,
    check_png_channels,
    folded,
    safe_name,
    safe_names,
    write_manifest,
)
from gan_augment.data.tables import TABLE_SUFFIXES, manifest_path
from gan_augment.data.tables.columns import joined
from gan_augment.data.tables.export import MARK, check_mark, check_out, write_table
from gan_augment.data.topup_plan import ORIGINS, TopUpPlan, plan_topup, refusals_in_words
from gan_augment.errors import UsageError
from gan_augment.generators import load_model
from gan_augment.generators.model_file import ModelMeta
from gan_augment.kinds.image import IMAGE
from gan_augment.options import FitOptions, TopUp
from gan_augment.progress import Progress
from gan_augment.storage.files import write_file

if TYPE_CHECKING:
    from gan_augment.commands.fit import FitPlan
    from gan_augment.generators.image_gan import ImageGAN
    from gan_augment.generators.tabular_gan import TabularGAN

__all__ = ["AugmentPlan", "AugmentResult", "augment", "plan_augment"]

LARGER = 1.5
"""Originals that exceed the model's size by this factor look sharper than generated images."""
_DECIDED = "the trial at the end of the fit decides: without a gain real images are repeated"
_OURS = re.compile(r"(synthetic|repeat)-[0-9]{6}", re.IGNORECASE)


class AugmentResult(Result):
    """The topped-up output: {class: {origin: rows}} in `counts`, {class: why} in `refused`."""

    out: Path
    run: Path | None
    manifest: Path
    counts: dict[str, dict[str, int]]
    refused: dict[str, str]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    unit: str = "files"

    def lines(self) -> list[str]:
        return [*count_lines(self.counts), *([f"model: {self.run}"] if self.run else [])]


def count_lines(counts: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Return {class: {origin: rows}} as a text table: one line per class, one column per origin."""
    wide = max((len(name) for name in counts), default=0)
    head = " ".join(f"{column:>9}" for column in (*ORIGINS, "total"))
    rows = [f"{'class':<{wide}} {head}"]
    for name, origins in counts.items():
        cells = " ".join(f"{n:>9}" for n in (*origins.values(), sum(origins.values())))
        rows.append(f"{name:<{wide}} {cells}")
    return rows


@dataclass(frozen=True)
class AugmentPlan:
    """What `augment` would write. fit: None if nothing is trained. note: on generated rows."""

    ends: TopUpPlan
    fit: FitPlan | None
    note: str

    def to_dict(self) -> dict[str, Any]:
        fit = self.fit.to_dict() if self.fit else None
        return {"counts": self.ends.counts, "plan": fit, "note": self.note}

    def lines(self) -> list[str]:
        fit = self.fit.lines() if self.fit else []
        return [*fit, *count_lines(self.ends.counts), *([self.note] if self.note else [])]


@dataclass
class _TopUp:
    """A top-up in progress. ends: changes when the model refuses a class. advice: see `plan`."""

    data: Source
    top_up: TopUp
    progress: Progress
    ends: TopUpPlan = field(init=False)
    advice: str = ""
    warnings: list[str] = field(default_factory=list)

    def plan(self, known: Source | ModelMeta) -> None:
        """Plan at the advised share; `advice` says why "auto" is 0, or "hardly trained", or ""."""
        data, advised = self.data, known.advised_share
        how = (data.topped_up, data.kind.recipes, advised)
        self.ends = plan_topup(data.counts, self.top_up, *how).refuse(known.refuses)
        asked = advised == 0 and self.top_up.synthetic_share == "auto"
        hardly = getattr(known, "hardly_trained", "") if self.ends.generated else ""
        self.advice = known.advice() if asked else hardly

    def warn(self, text: str) -> None:
        """Give a warning, now and in the result; "" is none."""
        if text:
            self.warnings.append(text)
            self.progress.warn(text)

    def settle(self, meta: ModelMeta | None, *, alike: bool) -> None:
        """Plan again with a model, and warn of what that means. alike: all images get one size."""
        if meta:
            self.plan(meta)
        to = self.top_up.to
        nothing = f"nothing is added: no class to top up is below --to {to} (to={to!r})"
        self.warn(self.advice if self.ends.added else nothing)
        if meta and not alike and self.data.kind is IMAGE and self.ends.generated:
            median, (height, width, _) = self.data.read.scan.sizes.get("median"), meta.shape
            if median and max(median[0] / height, median[1] / width) > LARGER:
                self.warn(
                    f"the originals are {median[1]} x {median[0]} px (median), the generated ones "
                    f"{width} x {height} px: a classifier may learn the difference in sharpness. "
                    "Take --match (match=True), or train at a larger --image-size."
                )
        if self.ends.refused:
            self.warn(refusals_in_words(self.ends.refused, self.data.kind.unit))


def augment(
    data: str | Path,
    out: str | Path,
    *,
    model: str | Path | None = None,
    top_up: TopUp | None = None,
    options: FitOptions | None = None,
    match: bool = False,
    mark: bool = False,
    overwrite: bool = False,
    run: str | Path | None = None,
    progress: Progress | None = None,
) -> AugmentResult:
    """Write `out/<class>/` with the files of `data`, repeats and synthetic images, and a manifest.

    For a table, `out` is a file: the rows of `data`, then new rows, which `out.manifest.csv` lists.
    A class of one row, or that the model refuses, is filled with repeats, with a warning.

    - data, out: A folder of classes, an image manifest, an `.npz` or a table; the folder or file to
      write.
    - model, run: The run to sample from. None trains one first, into `run` (by default where `fit`
      puts it).
    - top_up, options: The number of rows by origin; the options of the fit.
    - match: Write all images at the size of the model; False copies the originals.
    - mark, overwrite, progress: Give a table a last column `origin`; replace an earlier output;
      show progress.

    Raises GanAugmentError (DataError, UsageError, OutputExistsError, WriteFailedError, and the
    errors of `fit`).
    """
    from gan_augment.commands.fit import fitted_for

    source, out, progress = Path(data), Path(out), progress or Progress()
    options, meta = _asked(source, out, options, model)
    table = options.target is not None
    with output(out, table=table, overwrite=overwrite) as part:
        job = _planned(source, out, options, meta, top_up, progress, match=match, mark=mark)
        trained = Path(model) if model else None
        if trained is None and job.ends.generated:
            trained = fitted_for(job.data, run, progress, overwrite=overwrite)
        gan: Any = load_model(trained, threads=1) if trained else None
        job.settle(gan.meta_ if gan else None, alike=match)
        name = trained.name if trained else ""
        if table:
            _write_table(part / out.name, job, name, gan, mark=mark)
        else:
            _write_folder(part, job, name, gan, match=match)
    return AugmentResult(
        out=out,
        run=trained,
        manifest=manifest_path(out) if table else out / MANIFEST,
        counts=job.ends.counts,
        refused=job.ends.refused,
        warnings=tuple(job.warnings),
        notes=job.data.read.notes,
        unit="rows" if table else "files",
        following=next_command("evaluate", source, target=options.target, window=options.window),
    )


def plan_augment(
    data: str | Path,
    out: str | Path,
    *,
    model: str | Path | None = None,
    top_up: TopUp | None = None,
    options: FitOptions | None = None,
    run: str | Path | None = None,
) -> AugmentPlan:
    """Return what `augment` would write with the same arguments. Writes nothing.

    No row is drawn, so that refusals during drawing are unknown, and so is what the trial of a fit
    will advise. Raises what `augment` raises before it writes.
    """
    source, out = Path(data), Path(out)
    options, meta = _asked(source, out, options, model)
    job = _planned(source, out, options, meta, top_up, Progress())
    if meta is None and job.ends.generated:
        from gan_augment.commands.fit import plan_fit

        image, auto = not job.data.kind.tabular, job.top_up.synthetic_share == "auto"
        note = _DECIDED if image and auto and options.selection else ""
        return AugmentPlan(job.ends, plan_fit(job.data, options, run), note)
    if refused := job.ends.refused:
        return AugmentPlan(job.ends, None, refusals_in_words(refused, job.data.kind.unit))
    return AugmentPlan(job.ends, None, job.advice)


def _asked(
    source: Path, out: Path, options: FitOptions | None, model: str | Path | None
) -> tuple[FitOptions, ModelMeta | None]:
    """Return the options, those that the model decides among them, and its description."""
    options, meta = options or FitOptions(), read_meta(model) if model else None
    options = meta.options(options) if meta else options
    check_apart(source, out)
    if options.target is not None:
        check_out(out)
    elif out.suffix.lower() in TABLE_SUFFIXES and not out.is_dir():
        raise UsageError(
            f"OUT {str(out)!r} is the name of a table, and {str(source)!r} is read as images. Name "
            f"a folder, such as {str(out.with_suffix(''))!r}, or the --target COLUMN of a table."
        )
    return options, meta


def _planned(
    source: Path,
    out: Path,
    options: FitOptions,
    meta: ModelMeta | None,
    top_up: TopUp | None,
    progress: Progress,
    *,
    match: bool = False,
    mark: bool = False,
) -> _TopUp:
    """Read the data and plan; raise if `out` is refused, or the data do not suit the model."""
    read = read_data(source, options, progress)
    if match and read.kind is not IMAGE:
        raise UsageError(f"--match is for images, and the data is {read.kind.unit}")
    if mark and not read.kind.tabular:
        raise UsageError("--mark is for tables: name the --target COLUMN")
    if read.kind.tabular:
        check_out(out, read.read.source)
        if mark:
            check_mark([*read.read.schema.names, str(options.target)])
    elif read.kind is IMAGE:
        check_png_channels(read.data.image_shape[2])
    if meta:
        read.kind.check_model(read.data, meta, read.schema)
    for note in (*read.for_photos, *(read.read.notes if meta else ())):
        progress.note(note)
    job = _TopUp(read, top_up or TopUp(), progress)
    job.plan(meta or read)
    return job


def _write_folder(
    part: Path, job: _TopUp, model: str, gan: ImageGAN | None, *, match: bool
) -> None:
    """Write synthetic images first, since a refusal changes the repeats; then the originals."""
    ids, content = job.data.originals(match=match)
    names = file_names(ids, job.data.data.labels.tolist())
    rows = _folder_rows(job, names, model)
    paths: dict[str, list[str]] = {name: [] for name in job.ends.generated}
    for row, original in rows:
        if original is None:
            paths[row.label].append(row.path)
    sources: dict[str, str] = {}
    if gan is not None and paths:
        options = job.data.options
        how: dict[str, Any] = {"seed": options.seed, "workers": options.workers}
        refused, sources = draw_images(gan, part, paths, progress=job.progress, **how)
        if refused:  # repeats fill refused classes; rows of other classes are written already
            job.ends = job.ends.refuse(refused, keep_others=True)
            job.warn(refusals_in_words(refused, job.data.kind.unit))
            rows = _folder_rows(job, names, model)
    copies = [(row, original) for row, original in rows if original is not None]
    job.progress.phase("copying originals", len(copies))
    for done, (row, original) in enumerate(copies, 1):
        write_file(part / row.path, content(original), sync=False)
        job.progress.advance(done)
    write_manifest(part / MANIFEST, [row for row, _ in rows], sources)


def _folder_rows(
    job: _TopUp, names: Sequence[str], model: str
) -> list[tuple[ManifestRow, int | None]]:
    """Return every file of the output, class by class, with the row it shows, None if generated."""
    data = job.data.data
    layout = job.ends.layout(data.labels, job.data.options.seed)
    folders, suffix = safe_names(job.ends), data.kind.suffix(data.meta.rate)
    rows: list[tuple[ManifestRow, int | None]] = []
    numbers: dict[tuple[str, str], Iterator[int]] = defaultdict(itertools.count)
    for place in np.argsort(layout.label, kind="stable").tolist():
        label = data.names[layout.label[place]]
        origin = cast(Origin, str(layout.origin[place]))
        row, index = int(layout.source[place]), next(numbers[label, origin])
        if origin == "real":
            file, from_, number = names[row], str(data.ids[row]), None
        elif origin == "repeat":
            file, from_, number = repeat_name(index, names[row]), str(data.ids[row]), index
        else:
            file, from_, number = f"synthetic-{index:06d}{suffix}", model, index
        path = f"{folders[label]}/{file}"
        rows.append((ManifestRow(path, label, origin, from_, number), row if row >= 0 else None))
    return rows


def _write_table(
    file: Path, job: _TopUp, model: str, gan: TabularGAN | None, *, mark: bool
) -> None:
    """Write the original byte for byte (Parquet: value for value), then new rows in its format."""
    read, data, seed = job.data.read, job.data.data, job.data.options.seed
    blocks = job.ends.blocks(data.labels, seed)
    if mark and read.source.dialect is not None:
        job.progress.note(f"every line of the original gets one more cell, {MARK!r}")
    job.progress.phase("writing rows", job.ends.added)
    write_table(
        file,
        read.source.dialect,
        joined(data.frame.iloc[:1], data.labels[:1], read.schema),
        table_rows(gan, blocks, data.names, read.schema, data=data, seed=seed, model=model),
        original=read.source,
        mark=mark,
        advance=job.progress.advance,
    )


def file_names(ids: Sequence[str], labels: Sequence[int]) -> list[str]:
    """Return a file name for each row: the last part of its path, if that is unique in its class.

    If several files of a class share a name, or a name is reserved for generated files, all but the
    first get their whole path, with `%2F` between its parts.

    >>> file_names(["cat/a.png", "cat/old/a.png", "dog/a.png"], [0, 0, 1])
    ['a.png', 'cat%2Fold%2Fa.png', 'a.png']
    """
    taken: set[tuple[int, str]] = set()
    names = []
    for id_, label in zip(ids, labels, strict=True):
        name = _shortened(PurePosixPath(id_).name)
        if (label, folded(name)) in taken or _OURS.match(name):
            name = safe_name(id_)
        while (label, folded(name)) in taken or _OURS.match(name):
            name = _shortened(f"original-{name}")
        taken.add((label, folded(name)))
        names.append(name)
    return names


def repeat_name(index: int, name: str) -> str:
    """Return the file name of repeat number `index` of a class, of the original `name`."""
    return _shortened(f"repeat-{index:06d}-{name}")


def _shortened(name: str) -> str:
    """Return `name` if it is a valid length, else its start, a hash of it all, and its suffix."""
    raw = name.encode()
    if len(raw) <= LONGEST_BYTES:
        return name
    tail = f"~{hashlib.sha256(raw).hexdigest()[:16]}{PurePosixPath(name).suffix[:16]}"
    return raw[: LONGEST_BYTES - len(tail.encode())].decode(errors="ignore") + tail
