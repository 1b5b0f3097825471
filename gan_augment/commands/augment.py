"""`augment`: from labelled data to a topped-up copy. `plan_augment`: only how classes would end.

Images become a folder of files, a table a file. Training is in `fitting.py`, which output may be
written in `outputs.py`, which rows are added in `data/topup_plan.py`.
"""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

from gan_augment.commands.kinds import (
    ImageKind,
    Kind,
    Meta,
    SignalKind,
    TableKind,
    model_sha256,
    options_of_model,
    read_data,
    read_meta,
)
from gan_augment.commands.outputs import (
    NOT_OF_THE_OUTPUT,
    FolderOutput,
    Output,
    Result,
    check_apart,
    check_file_apart,
    new_run_folder,
    output_file,
    output_folder,
    resolver_folder,
)
from gan_augment.commands.sample import ROWS_AT_ONCE, is_whole, write_images
from gan_augment.data.images.png_folder import (
    LONGEST_BYTES,
    MANIFEST,
    ManifestRow,
    Origin,
    check_png_channels,
    folded,
    safe_name,
    safe_names,
    with_sources,
    write_part,
)
from gan_augment.data.images.sources import root_of
from gan_augment.data.tables import TABLE_SUFFIXES, manifest_path
from gan_augment.data.tables.columns import joined, with_new_ids
from gan_augment.data.tables.csv import MARK
from gan_augment.data.tables.export import (
    FileFormat,
    NewRows,
    check_mark,
    check_out,
    write_table,
)
from gan_augment.data.topup_plan import ORIGINS, TopUpPlan, plan_topup, refusals_in_words
from gan_augment.errors import DataError, UsageError
from gan_augment.generators import model_folder
from gan_augment.generators.gan import check_code
from gan_augment.generators.model_file import ModelMeta
from gan_augment.kinds.kind import Labelled
from gan_augment.options import FitOptions, TopUp
from gan_augment.progress import Progress

if TYPE_CHECKING:
    from gan_augment.generators.image_gan import ImageGAN
    from gan_augment.generators.tabular_gan import TabularGAN

__all__ = ["AugmentResult", "augment", "count_lines", "plan_augment"]

Match = Literal["originals", "model"]
LARGER = 1.5  # originals beyond this many times the model's size look sharper than it can draw
_OURS = re.compile(r"(synthetic|repeat)-[0-9]{6}", re.IGNORECASE)


@dataclass(frozen=True)
class AugmentResult(Result):
    """What the topped-up output holds.

    counts: {class: {origin: rows}}. refused: {class: why it was filled with repeats}. notes: on
    the data, as it was read. unit: what is counted.
    """

    out: Path
    run: Path | None  # None where nothing was to be generated
    manifest: Path
    counts: dict[str, dict[str, int]]
    refused: dict[str, str]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    unit: str = "files"

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON, with the number of all rows under the name of their unit."""
        return {
            **super().to_dict(),
            self.unit: sum(sum(of.values()) for of in self.counts.values()),
        }

    def lines(self) -> list[str]:
        """The counts, and the model that drew."""
        return [*count_lines(self.counts), *([f"model: {self.run}"] if self.run else [])]


def count_lines(counts: Mapping[str, Mapping[str, int]]) -> list[str]:
    """A table of {class: {origin: rows}}: a class a line, a column an origin."""
    wide = max((len(name) for name in counts), default=0)
    head = " ".join(f"{column:>9}" for column in (*ORIGINS, "total"))
    rows = [f"{'class':<{wide}} {head}"]
    for name, origins in counts.items():
        cells = " ".join(f"{n:>9}" for n in (*origins.values(), sum(origins.values())))
        rows.append(f"{name:<{wide}} {cells}")
    return rows


@dataclass
class _TopUp:
    """A top-up under way: the data, the plan as refusals change it, the warnings so far."""

    data: Kind
    plan: TopUpPlan
    progress: Progress
    warnings: list[str] = field(default_factory=list)

    def warn(self, text: str) -> None:
        """Give a warning, now and in the result."""
        self.warnings.append(text)
        self.progress.warn(text)

    def warn_of_refused(self, classes: Mapping[str, str]) -> None:
        """Name the classes that are filled with repeats, if there are any."""
        if classes:
            self.warn(refusals_in_words(classes, self.data.unit))


def augment(
    data: str | Path,
    out: str | Path,
    *,
    model: str | Path | None = None,
    top_up: TopUp | None = None,
    options: FitOptions | None = None,
    match: Match | None = None,
    resize_originals: bool = False,
    mark: bool = False,
    resume: bool = False,
    overwrite: bool = False,
    run: str | Path | None = None,
    allow_code: bool = False,
    progress: Progress | None = None,
) -> AugmentResult:
    """Write `out/<class>/` with the files of `data`, repeats and synthetic images, and a manifest.

    Of a table `out` is a file of the same kind: the rows of `data` as they are, new rows behind
    them, and `out.manifest.csv` beside it; id-like columns are numbered on through all new rows.
    Classes that the model refuses, or of one row, are filled with repeats, and a warning says so.

    Parameters
    ----------
    data
        A folder of classes, a `.csv` manifest or an `.npz` file; it is only read. With
        `options.target`, or the model of a table, it is a table.
    model
        A trained run to sample from; None trains one first, with `options`, into `run` (by default
        where `fit` puts it). With a model, classes "rare" means those it was fitted for.
    top_up
        How many rows of which origin.
    match
        Write all images as PNG files alike, so that sharpness does not tell which are generated:
        "model", at the model's size; "originals", through that size at the median one of DATA.
        None copies the originals, and generated images are of the model's size.
    resize_originals
        Old name of `match="model"`.
    mark
        Write a table with a last column `synthetic`.
    resume
        Go on where a stopped call with the same arguments was.
    allow_code
        Whether the file of a `model` with networks of the user's own may be run.

    Raises
    ------
    GanAugmentError
        DataError, UsageError, OutputExistsError, WriteFailedError, and what `fit` raises.

    Examples
    --------
    >>> result = augment("photos", "out", options=FitOptions(budget_s=600))  # doctest: +SKIP
    >>> result.counts["bad"]  # doctest: +SKIP
    {'real': 4, 'repeat': 16, 'synthetic': 16, 'companion': 0}
    """
    source, out, progress = Path(data), Path(out), progress or Progress()
    top_up, options = top_up or TopUp(), options or FitOptions()
    meta = read_meta(model) if model else None
    if meta:
        check_code(meta.recipe, allowed=allow_code)
        options = options_of_model(options, meta)
    if resize_originals:
        warnings.warn("resize_originals=True is now match='model'", FutureWarning, stacklevel=2)
        match = match or "model"
    flags = _flags(options, match, mark)
    with _output(source, out, options)(resume=resume, overwrite=overwrite) as output:
        read = _read(source, out, options, meta, mark=mark, progress=progress)
        # a top-up that makes no sense is refused before anything is trained
        plan, gan, trained = _plan(read, top_up), None, None
        size = _size_written(read, match)
        _check_room(output, source, read, plan, size)
        made_from = _made_from(read, top_up, flags, model)
        if model and meta:
            trained = Path(model)
            if options.super_resolve and isinstance(meta, ModelMeta):
                resolver_folder(model_folder(trained), options.super_resolve)
            output.describe(made_from)
            for note in read.read.notes:
                progress.note(note)
        elif not plan.generated:
            output.describe(made_from)
        else:
            trained = Path(output.notes.get("run") or run or new_run_folder(source))
            check_apart(source, trained)
            output.describe(made_from, run=str(trained))
            from gan_augment.commands.fit import model_for_output

            replacing = overwrite and run is not None
            gan, digest = model_for_output(output, source, trained, read, replacing, progress)
            output.describe(made_from, trained=digest)
            meta = gan.meta_ if gan else read_meta(trained)
        job = _TopUp(read, _plan(read, top_up, meta), progress)
        if isinstance(meta, ModelMeta):
            _warn_of_model(job, meta, top_up, alike=size is not None)
        job.warn_of_refused(job.plan.refused)
        if isinstance(output, FolderOutput):
            images = cast("ImageGAN | None", gan)
            allow_code |= model is None  # of a run that the options trained
            _write_folder(output, job, source, trained, images, size=size, allow_code=allow_code)
        elif output.finished:
            progress.note(f"{str(out)!r} is finished; nothing is left to write")
        else:
            _write_file(job, output, trained, cast("TabularGAN | None", gan), **flags)
    return AugmentResult(
        out=out,
        run=trained,
        manifest=out / MANIFEST if isinstance(output, FolderOutput) else manifest_path(out),
        counts=job.plan.counts,
        refused=dict(job.plan.refused),
        warnings=tuple(job.warnings),
        notes=read.read.notes,
        unit="files" if isinstance(output, FolderOutput) else "rows",
    )


def plan_augment(
    data: str | Path,
    out: str | Path,
    *,
    model: str | Path,
    top_up: TopUp | None = None,
    options: FitOptions | None = None,
) -> TopUpPlan:
    """How every class would end in `augment` with the same arguments. Writes nothing.

    No row is drawn, so a class that the model would refuse is not known yet. Raises what `augment`
    raises before it writes.
    """
    source, out, meta = Path(data), Path(out), read_meta(model)
    options = options_of_model(options or FitOptions(), meta)
    _output(source, out, options)
    read = _read(source, out, options, meta, mark=False, progress=Progress())
    return _plan(read, top_up or TopUp(), meta)


def _plan(data: Kind, top_up: TopUp, meta: Meta | None = None) -> TopUpPlan:
    """How every class ends; of a known model as it advises, and without what it refuses."""
    images = meta if isinstance(meta, ModelMeta) else None
    advised = images.advised_share if images else None
    plan = plan_topup(data.counts, top_up, data.topped_up, data.name, advised)
    return plan.refuse(images.refuses) if images else plan


def _flags(options: FitOptions, match: Match | None, mark: bool) -> dict[str, Any]:
    """How rows of this kind are written. Raises UsageError for what is of the other kind."""
    if match not in (None, "model", "originals"):
        raise UsageError(f"match={match!r}; expected 'model' or 'originals'")
    if options.target is None:
        if mark:
            raise UsageError("marks are for tables: name the --target COLUMN")
        return {"match": match}
    if match is not None:
        raise UsageError(f"match={match!r} is of images, and the data is a table")
    return {"mark": mark}


def _size_written(read: Kind, match: Match | None) -> tuple[int, int] | None:
    """(height, width) px of all images that are written; None where originals are copied."""
    if match is None or not isinstance(read, ImageKind):
        return None
    if isinstance(read, SignalKind):
        raise UsageError(f"match={match!r} is of images, and the data is signals")
    median = read.read.scan.sizes.get("median") if match == "originals" else None
    return median or read.data.image_shape[:2]


def _check_room(
    output: Output, source: Path, read: Kind, plan: TopUpPlan, size: tuple[int, int] | None
) -> None:
    """Refuse a top-up that the disk cannot hold: rows and copied files are taken for mean ones."""
    rows = sum(read.counts.values())
    if isinstance(read, ImageKind):
        each_bytes = _Originals(source, read, size).bytes_each
        repeats = sum(counts["repeat"] for counts in plan.counts.values())
        output.check_room(each_bytes * (rows + repeats), rows + plan.added)
    else:
        output.check_room(source.stat().st_size // max(rows, 1) * (rows + plan.added))


def _output(
    source: Path, out: Path, options: FitOptions
) -> Callable[..., AbstractContextManager[FolderOutput | Output]]:
    """What opens the output of this kind of data, once it is known to lie apart from DATA."""
    if options.target is None:
        if out.suffix.lower() in TABLE_SUFFIXES and not out.is_dir():
            raise UsageError(
                f"OUT {str(out)!r} is called as a table is, and {str(source)!r} is read as images, "
                f"which are written to a folder: name one, such as {str(out.with_suffix(''))!r}, "
                "or name the --target COLUMN of a table."
            )
        check_apart(source, out)
        return partial(output_folder, out, "augment")
    check_out(out)
    check_file_apart(source, out)
    return partial(output_file, out, "augment")


def _read(
    source: Path,
    out: Path,
    options: FitOptions,
    meta: Meta | None,
    *,
    mark: bool,
    progress: Progress,
) -> Kind:
    """The data; an error where it cannot be written to `out`, or is not of the model."""
    read = read_data(source, options, progress, sampled=True)
    if isinstance(read, ImageKind):
        if not isinstance(read, SignalKind):
            check_png_channels(read.data.image_shape[2])
    else:
        check_out(out, read.read.source)
        if mark:
            check_mark([*read.read.schema.names, read.options.target])
    if meta:
        read.check_model(meta)
    return read


def _made_from(
    read: Kind, top_up: TopUp, flags: Mapping[str, bool], model: str | Path | None
) -> dict[str, Any]:
    """What decides the output; a resumed call must give the same."""
    of_tables = set() if isinstance(read, TableKind) else {"target", "columns", "most_rows"}
    excluded = NOT_OF_THE_OUTPUT | of_tables
    new = {"window", "super_resolve"}  # earlier outputs know none of them
    excluded |= {name for name in new if getattr(read.options, name) is None}
    return {
        "data": read.sha256,
        "top-up": top_up.model_dump(mode="json"),
        "options": read.options.model_dump(mode="json", exclude=excluded),
        **flags,
        "model": model_sha256(model) if model else None,
    }


def _warn_of_model(job: _TopUp, meta: ModelMeta, top_up: TopUp, *, alike: bool) -> None:
    """Say that it advises no generated images, and that they are smaller than the originals."""
    assert isinstance(job.data, ImageKind)
    if top_up.synthetic_share == "auto" and meta.advised_share == 0:
        job.warn(meta.advice())
    if alike or isinstance(job.data, SignalKind):
        return
    median, (height, width, _) = job.data.read.scan.sizes.get("median"), meta.image_shape
    height, width = (side * (job.data.options.super_resolve or 1) for side in (height, width))
    if job.plan.generated and median and max(median[0] / height, median[1] / width) > LARGER:
        job.warn(
            f"the originals are {median[1]} x {median[0]} px (median), the synthetic images "
            f"{width} x {height} px: sharpness tells them apart, and a classifier may learn that. "
            "Pass --match model or --match originals (match=), or train at a larger --image-size."
        )


def _write_folder(
    output: FolderOutput,
    job: _TopUp,
    source: Path,
    run: Path | None,
    gan: ImageGAN | None,
    *,
    size: tuple[int, int] | None,
    allow_code: bool,
) -> None:
    """Synthetic images first, since a refusal changes what is repeated; then the real ones."""
    assert isinstance(job.data, ImageKind)
    data, progress = job.data.data, job.progress
    originals = _Originals(source, job.data, size)
    model = run.name if run else ""
    rows = _folder_rows(job, data, originals.names, model)
    output.plan([row for row, _ in rows])
    paths: dict[str, list[str]] = {name: [] for name in job.plan.generated}
    for row, original in rows:
        if original is None:
            paths[row.label].append(row.path)
    refused: dict[str, str] = {}
    if run and paths:
        progress.phase("sampling", sum(map(len, paths.values())))
        _, refused = write_images(
            model_folder(run),
            output.path,
            paths,
            gan=gan,
            seed=job.data.options.seed,
            workers=job.data.options.workers,
            size=size,
            super_resolve=job.data.options.super_resolve,
            keep=output.resuming,
            allow_code=allow_code,
            advance=progress.advance,
        )
    if refused:  # rows of other classes were written already, companions among them, and stay
        job.plan = job.plan.refuse(refused, keep_others=True)
        job.warn_of_refused(refused)
        rows = _folder_rows(job, data, originals.names, model)
        output.plan([row for row, _ in rows])
    copies = [(row, original) for row, original in rows if original is not None]
    progress.phase("copying originals", len(copies))
    for done, (row, original) in enumerate(copies, 1):
        originals.write(original, output.path / row.path, output.resuming)
        progress.advance(done)
    output.finish(with_sources(output.path, [row for row, _ in rows]))


def _folder_rows(
    job: _TopUp, data: Labelled, names: Sequence[str], model: str
) -> list[tuple[ManifestRow, int | None]]:
    """Every file of the output with the row of `data` that it shows, None for a generated one.

    Class by class: real ones, repeats, generated ones.
    """
    layout = job.plan.layout(data.labels, job.data.options.seed).behind(data.labels)
    assert isinstance(job.data, ImageKind)
    folders, suffix = safe_names(job.plan), job.data.suffix
    rows: list[tuple[ManifestRow, int | None]] = []
    for place in np.argsort(layout.label, kind="stable").tolist():
        label = data.names[layout.label[place]]
        origin = cast(Origin, str(layout.origin[place]))
        row, index = int(layout.source[place]), int(layout.index[place])
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
    job: _TopUp,
    output: Output,
    run: Path | None,
    gan: TabularGAN | None,
    *,
    mark: bool,
) -> None:
    """The original byte for byte (Parquet: value for value), new rows in its own format behind."""
    from gan_augment.generators.tabular_gan import TabularGAN

    assert isinstance(job.data, TableKind)
    read, progress, out = job.data.read, job.progress, output.path
    assert read.source is not None
    if mark and out.suffix.lower() not in (".parquet", ".pq"):
        progress.note(f"every line of the original gets one cell more, {MARK!r}; the rest stays")
    if run and gan is None:
        gan = TabularGAN.load(model_folder(run))
    example = joined(read.table.frame.iloc[:1], read.table.labels[:1], read.schema)
    progress.phase("writing rows", job.plan.added)
    write_table(
        out,
        FileFormat.of(read.source),
        example,
        _new_rows(job, gan, run.name if run else ""),
        original=read.source,
        mark=mark,
        replace=output.replaces is not None,
        rows_to_come=job.plan.added,
        whole=output.write_record,
        advance=progress.advance,
    )


def _new_rows(job: _TopUp, gan: TabularGAN | None, model: str) -> Iterator[NewRows]:
    """The rows of the plan's layout, in chunks of one class and origin."""
    assert isinstance(job.data, TableKind)
    data, schema, seed = job.data.data, job.data.read.schema, job.data.options.seed
    done = 0
    for block in job.plan.blocks(data.labels, seed):
        name = data.names[block.label]
        for start in range(0, len(block.source), ROWS_AT_ONCE):
            rows = block.source[start : start + ROWS_AT_ONCE]
            source: str | list[str] = model
            if block.origin == "repeat":
                frame = data.frame.iloc[rows].reset_index(drop=True)
                source = data.ids[rows].tolist()
            else:
                assert gan is not None
                frame = gan.rows(name, start, start + len(rows), seed).frame
            frame = with_new_ids(frame, schema, data.frame, done)
            whole = joined(frame, np.full(len(rows), block.label), schema)
            yield NewRows(whole, name, block.origin, source, start)
            done += len(rows)


class _Originals:
    """The images of DATA by row: files are copied under their own names, arrays become PNG files.

    size: (height, width) px; the images, at the model's size, become PNG files of that one instead.
    Of signals, arrays and windows of longer recordings become .npy or .wav files.
    """

    def __init__(self, source: Path, read: ImageKind, size: tuple[int, int] | None) -> None:
        data, self._read, self._size = read.data, read, size
        ids, root = data.ids.tolist(), root_of(source)
        self._files = [root / id_ for id_ in ids]
        if source.suffix.lower() == ".npz" and source.is_file():
            ids = [safe_name(id_) for id_ in ids]
        self._rows = read.rows_to_write(source, size)
        if self._rows is not None:
            end = read.suffix
            ids = [id_ if id_.lower().endswith(end) else f"{id_}{end}" for id_ in ids]
        self.names = file_names(ids, data.labels.tolist())

    @property
    def bytes_each(self) -> int:
        """Of a file that is copied, on average; 0 where files are made."""
        files = self._files if self._rows is None else []
        sizes: list[int] = [file.stat().st_size for file in files if file.is_file()]
        return sum(sizes) // max(len(sizes), 1)

    def write(self, row: int, path: Path, keep: bool) -> None:
        """Put the image of a row at `path`; with `keep`, a whole file there is left."""
        if self._rows is not None:
            if not (keep and is_whole(path)):
                write_part(path, self._read.file_content(self._rows[row], self._size))
            return
        source = self._files[row]
        try:
            if keep and path.is_file() and path.stat().st_size == source.stat().st_size:
                return
            content = source.read_bytes()
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise DataError(f"{str(source)!r} can no longer be read: {reason}") from None
        write_part(path, content)


def file_names(ids: Sequence[str], labels: Sequence[int]) -> list[str]:
    """A file name a row: the last part of its path, where that is unique in its class.

    Of several files of one name in a class, and of names that generated files have, all but the
    first carry their whole path, with `%2F` between its parts.

    >>> file_names(["cat/a.png", "cat/old/a.png", "dog/a.png"], [0, 0, 1])
    ['a.png', 'cat%2Fold%2Fa.png', 'a.png']
    """
    taken: set[tuple[int, str]] = set()
    names = []
    for id_, label in zip(ids, labels, strict=True):
        name = PurePosixPath(id_).name
        if (label, folded(name)) in taken or _OURS.match(name):
            name = _shortened(safe_name(id_))
        while (label, folded(name)) in taken or _OURS.match(name):
            name = _shortened(f"original-{name}")
        taken.add((label, folded(name)))
        names.append(name)
    return names


def repeat_name(index: int, name: str) -> str:
    """The file name of a class's repeat number `index`, of the original `name`."""
    return _shortened(f"repeat-{index:06d}-{name}")


def _shortened(name: str) -> str:
    """`name` if a file may be called so, else its start, a hash of it all, and its suffix."""
    raw = name.encode()
    if len(raw) <= LONGEST_BYTES:
        return name
    tail = f"~{hashlib.sha256(raw).hexdigest()[:16]}{PurePosixPath(name).suffix[:16]}"
    return raw[: LONGEST_BYTES - len(tail.encode())].decode(errors="ignore") + tail
