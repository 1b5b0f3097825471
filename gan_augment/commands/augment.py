"""`augment`: from labelled data to a topped-up copy. `plan_augment`: only how the classes end.

Images become a folder of files, a table one file. The rows to add are planned in
`data/topup_plan.py`.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from gan_augment.commands.sample import table_rows
from gan_augment.commands.source import Meta, read_data, read_meta
from gan_augment.commands.writing import (
    Output,
    Result,
    check_apart,
    check_file_apart,
    draw_images,
    is_whole,
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
    write_part,
)
from gan_augment.data.images.sources import root_of
from gan_augment.data.tables import TABLE_SUFFIXES, manifest_path
from gan_augment.data.tables.columns import joined
from gan_augment.data.tables.export import MARK, check_mark, check_out, write_table
from gan_augment.data.topup_plan import ORIGINS, TopUpPlan, plan_topup, refusals_in_words
from gan_augment.errors import DataError, UsageError
from gan_augment.generators import load_model
from gan_augment.kinds.image import IMAGE
from gan_augment.options import FitOptions, TopUp
from gan_augment.progress import Progress
from gan_augment.storage.files import check_room

if TYPE_CHECKING:
    from gan_augment.generators.image_gan import ImageGAN
    from gan_augment.generators.tabular_gan import TabularGAN

__all__ = ["AugmentResult", "augment", "count_lines", "plan_augment"]

Match = Literal["originals", "model"]
LARGER = 1.5
"""Originals that exceed the model's size by this factor look sharper than generated images."""
_OURS = re.compile(r"(synthetic|repeat)-[0-9]{6}", re.IGNORECASE)


@dataclass(frozen=True)
class AugmentResult(Result):
    """The content of the topped-up output.

    run: None if nothing was generated. counts: {class: {origin: rows}}. refused: {class: why it was
    filled with repeats}. notes: about the data. unit: the plural noun of the counted items.
    """

    out: Path
    run: Path | None
    manifest: Path
    counts: dict[str, dict[str, int]]
    refused: dict[str, str]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    unit: str = "files"

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON, with the total under the name of the unit."""
        total = sum(sum(origins.values()) for origins in self.counts.values())
        return {**super().to_dict(), self.unit: total}

    def lines(self) -> list[str]:
        """Return the summary for people."""
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


@dataclass
class _TopUp:
    """A top-up in progress. plan: changes when the model refuses a class."""

    data: Any
    plan: TopUpPlan
    progress: Progress
    warnings: list[str] = field(default_factory=list)

    def warn(self, text: str) -> None:
        """Give a warning, now and in the result."""
        self.warnings.append(text)
        self.progress.warn(text)

    def refuse(self, refused: Mapping[str, str]) -> None:
        """Fill refused classes with repeats; rows of other classes are written already and stay."""
        self.plan = self.plan.refuse(refused, keep_others=True)
        self.warn(refusals_in_words(refused, self.data.unit))


def augment(
    data: str | Path,
    out: str | Path,
    *,
    model: str | Path | None = None,
    top_up: TopUp | None = None,
    options: FitOptions | None = None,
    match: Match | None = None,
    mark: bool = False,
    overwrite: bool = False,
    run: str | Path | None = None,
    progress: Progress | None = None,
) -> AugmentResult:
    """Write `out/<class>/` with the files of `data`, repeats and synthetic images, and a manifest.

    For a table, `out` is a file of the same format: the rows of `data`, then new rows, which
    `out.manifest.csv` describes. A class that the model refuses, or of one row, is filled with
    repeats, with a warning. After an interruption the same call continues in `OUT.part`.

    Parameters
    ----------
    data, out
        A folder of classes, an image manifest, an `.npz` or a table; the folder or file to write.
    model, run
        The run to sample from. None trains one first, into `run` (by default where `fit` puts it).
    top_up, options
        The number of rows by origin; the options of the fit.
    match
        The size of all images: "model", "originals" (the median of `data`), None to copy them.
    mark, overwrite
        Whether a table gets a last column `origin`; whether an earlier output is replaced.
    progress
        Shows progress, notes and warnings.

    Raises
    ------
    GanAugmentError
        DataError, UsageError, OutputExistsError, WriteFailedError, and the errors of `fit`.
    """
    source, out, progress = Path(data), Path(out), progress or Progress()
    top_up, options = top_up or TopUp(), options or FitOptions()
    meta = read_meta(model) if model else None
    options = meta.options(options) if meta else options
    table = options.target is not None
    _check_call(source, out, table=table, match=match, mark=mark)
    with output(out, "augment", table=table, overwrite=overwrite) as held:
        read = _read(source, out, options, meta, mark=mark, progress=progress)
        job = _TopUp(read, _plan(read, top_up), progress)  # refused before anything is trained
        originals = None if table else _Originals(source, read, match)
        check_room(out.parent, *_room(source, read, job.plan, originals))
        how = {"match": match, "mark": mark, "top-up": top_up.model_dump(mode="json")}
        gan, trained = _model(held, read.made_from(model, **how), job, source, model, run)
        _plan_with(job, trained, top_up, alike=match is not None)
        if originals is None:
            _write_file(held, job, trained, gan, mark=mark)
        else:
            _write_folder(held, job, originals, trained, gan)
    manifest, unit = (manifest_path(out), "rows") if table else (out / MANIFEST, "files")
    of_job = job.plan.counts, dict(job.plan.refused), tuple(job.warnings)
    return AugmentResult(out, trained, manifest, *of_job, read.read.notes, unit)


def _model(
    held: Output,
    made_from: Mapping[str, Any],
    job: _TopUp,
    source: Path,
    model: str | Path | None,
    run: str | Path | None,
) -> tuple[Any, Path | None]:
    """Load or fit the model, and return it with its run; (None, None) if nothing is generated."""
    if not model and not job.plan.generated:
        held.describe(made_from)
        return None, None
    from gan_augment.commands.fit import fitted_for

    gan, trained = fitted_for(held, made_from, source, job.data, model, run, job.progress)
    return gan or load_model(trained, threads=1), trained


def _plan_with(job: _TopUp, trained: Path | None, top_up: TopUp, *, alike: bool) -> None:
    """Plan again with the model's advised share and refusals, and warn of what they mean.

    alike: whether all images get one size.
    """
    if trained:
        meta = read_meta(trained)
        job.plan = _plan(job.data, top_up, meta)
        _warn_of_model(job, meta, top_up, alike=alike)
    if job.plan.refused:
        job.warn(refusals_in_words(job.plan.refused, job.data.unit))


def _warn_of_model(job: _TopUp, meta: Meta, top_up: TopUp, *, alike: bool) -> None:
    """Warn if the model advises no generated images, or draws smaller ones than the originals."""
    kind = job.data.kind
    if not kind.tabular and top_up.synthetic_share == "auto" and meta.advised_share == 0:
        job.warn(meta.advice())
    if alike or kind is not IMAGE or not job.plan.generated:
        return
    median, (height, width, _) = job.data.read.scan.sizes.get("median"), meta.shape
    if median and max(median[0] / height, median[1] / width) > LARGER:
        job.warn(
            f"the originals are {median[1]} x {median[0]} px (median), the synthetic images "
            f"{width} x {height} px: a classifier may learn the difference in sharpness. "
            "Pass --match model or --match originals (match=), or train at a larger --image-size."
        )


def plan_augment(
    data: str | Path,
    out: str | Path,
    *,
    model: str | Path,
    top_up: TopUp | None = None,
    options: FitOptions | None = None,
) -> TopUpPlan:
    """Return how every class ends in `augment` with the same arguments. Writes nothing.

    No row is drawn, so that refusals during drawing are unknown. Raises what `augment` raises
    before it writes.
    """
    source, out, meta = Path(data), Path(out), read_meta(model)
    options = meta.options(options or FitOptions())
    _check_call(source, out, table=options.target is not None, match=None, mark=False)
    read = _read(source, out, options, meta, mark=False, progress=Progress())
    return _plan(read, top_up or TopUp(), meta)


def _plan(data: Any, top_up: TopUp, meta: Meta | None = None) -> TopUpPlan:
    """Plan the top-up; with a model, at the share it advises and without classes it refuses."""
    advised = meta.advised_share if meta else None
    plan = plan_topup(data.counts, top_up, data.topped_up, data.name, advised)
    return plan.refuse(meta.refuses if meta else {})


def _check_call(source: Path, out: Path, *, table: bool, match: Match | None, mark: bool) -> None:
    """Raise UsageError for an output that does not suit the data, or options of another kind."""
    if match not in (None, "model", "originals"):
        raise UsageError(f"match={match!r}; expected 'model' or 'originals'")
    if table:
        if match is not None:
            raise UsageError(f"match={match!r} is for images, and the data is a table")
        check_out(out)
        check_file_apart(source, out)
        return
    if mark:
        raise UsageError("mark is for tables: name the --target COLUMN")
    if out.suffix.lower() in TABLE_SUFFIXES and not out.is_dir():
        raise UsageError(
            f"OUT {str(out)!r} has the name of a table, and {str(source)!r} is read as images, "
            f"which are written to a folder: name one, such as {str(out.with_suffix(''))!r}, "
            "or name the --target COLUMN of a table."
        )
    check_apart(source, out)


def _room(
    source: Path, read: Any, plan: TopUpPlan, originals: _Originals | None
) -> tuple[int, int]:
    """Estimate the bytes and the files of a top-up from the mean size of the originals."""
    rows = sum(read.counts.values())
    if originals is None:
        return source.stat().st_size // max(rows, 1) * (rows + plan.added), 2
    repeats = sum(counts["repeat"] for counts in plan.counts.values())
    return originals.bytes_each * (rows + repeats), rows + plan.added


def _read(
    source: Path,
    out: Path,
    options: FitOptions,
    meta: Meta | None,
    *,
    mark: bool,
    progress: Progress,
) -> Any:
    """Read the data; raise if it cannot be written to `out`, or does not suit the model."""
    read: Any = read_data(source, options, progress, sampled=True)
    if read.kind.tabular:
        check_out(out, read.read.source)
        if mark:
            check_mark([*read.read.schema.names, options.target])
    elif read.kind is IMAGE:
        check_png_channels(read.data.image_shape[2])
    if meta:
        read.kind.check_model(read.data, meta, read.schema)
        for note in read.read.notes:
            progress.note(note)
    return read


def _write_folder(
    held: Output,
    job: _TopUp,
    originals: _Originals,
    run: Path | None,
    gan: ImageGAN | None,
) -> None:
    """Write synthetic images first, since a refusal changes the repeats; then the originals."""
    model = run.name if run else ""
    rows = _folder_rows(job, originals.names, model)
    paths: dict[str, list[str]] = {name: [] for name in job.plan.generated}
    for row, original in rows:
        if original is None:
            paths[row.label].append(row.path)
    if gan is not None and paths:
        refused = draw_images(
            gan,
            held.part,
            paths,
            seed=job.data.options.seed,
            size=originals.size,
            workers=job.data.options.workers,
            progress=job.progress,
        )
        if refused:
            job.refuse(refused)
            rows = _folder_rows(job, originals.names, model)
    copies = [(row, original) for row, original in rows if original is not None]
    job.progress.phase("copying originals", len(copies))
    for done, (row, original) in enumerate(copies, 1):
        originals.write(original, held.part / row.path)
        job.progress.advance(done)
    held.finish_folder([row for row, _ in rows])


def _folder_rows(
    job: _TopUp, names: Sequence[str], model: str
) -> list[tuple[ManifestRow, int | None]]:
    """Return every file of the output with the row of the data it shows, None if generated.

    Class by class: originals, repeats, generated rows. names: the file name of each original.
    """
    data = job.data.data
    layout = job.plan.layout(data.labels, job.data.options.seed).behind(data.labels)
    folders, suffix = safe_names(job.plan), job.data.suffix
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


def _write_file(
    held: Output, job: _TopUp, run: Path | None, gan: TabularGAN | None, *, mark: bool
) -> None:
    """Write the original byte for byte (Parquet: value for value), then new rows in its format."""
    if held.table_named:
        return held.finish_table()
    read, data = job.data.read, job.data.data
    how: dict[str, Any] = {"seed": job.data.options.seed, "model": run.name if run else ""}
    blocks = job.plan.blocks(data.labels, job.data.options.seed)
    if mark and held.path.suffix.lower() not in (".parquet", ".pq"):
        job.progress.note(f"every line of the original gets one more cell, {MARK!r}")
    job.progress.phase("writing rows", job.plan.added)
    write_table(
        held.part / held.path.name,
        read.source.dialect,
        joined(read.table.frame.iloc[:1], read.table.labels[:1], read.schema),
        table_rows(gan, blocks, data.names, read.schema, data=data, **how),
        original=read.source,
        mark=mark,
        rows_to_come=job.plan.added,
        advance=job.progress.advance,
    )
    return held.finish_table()


class _Originals:
    """The images of DATA by row: files are copied under their own names, arrays become PNG files.

    match: "model" or "originals" makes all images PNG files of one size, (height, width) in px.
    For signals, arrays and windows of longer recordings become .npy or .wav files.
    """

    def __init__(self, source: Path, read: Any, match: Match | None) -> None:
        data, self._read = read.data, read
        if match is not None and read.kind is not IMAGE:
            raise UsageError(f"match={match!r} is for images, and the data is {read.unit}")
        self.size: tuple[int, int] | None = data.image_shape[:2] if match else None
        if match == "originals":
            self.size = read.read.scan.sizes.get("median", self.size)
        ids, root = data.ids.tolist(), root_of(source)
        self._files = [root / id_ for id_ in ids]
        if source.suffix.lower() == ".npz" and source.is_file():
            ids = [safe_name(id_) for id_ in ids]
        self._rows: NDArray[Any] | None = read.rows_to_write(source, self.size)
        if self._rows is not None:
            end = read.suffix
            ids = [id_ if id_.lower().endswith(end) else f"{id_}{end}" for id_ in ids]
        self.names = file_names(ids, data.labels.tolist())

    @property
    def bytes_each(self) -> int:
        """Return the mean size of a file that is copied; 0 if files are made."""
        files = self._files if self._rows is None else []
        sizes: list[int] = [file.stat().st_size for file in files if file.is_file()]
        return sum(sizes) // max(len(sizes), 1)

    def write(self, row: int, path: Path) -> None:
        """Put the image of a row at `path`, unless it is there already."""
        if self._rows is not None:
            if not is_whole(path):
                write_part(path, self._read.file_content(self._rows[row], self.size))
            return
        source = self._files[row]
        try:
            if path.is_file() and path.stat().st_size == source.stat().st_size:
                return
            content = source.read_bytes()
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise DataError(f"{str(source)!r} can no longer be read: {reason}") from None
        write_part(path, content)


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
