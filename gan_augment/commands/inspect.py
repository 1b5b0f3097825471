"""`inspect`: report what a data set holds, or what a trained run is. Neither is changed.

Only the picture of a run's candidates loads torch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gan_augment.commands.source import (
    CLASSES_SHOWN,
    IMAGES_A_CLASS,
    Meta,
    check_no_table,
    model_sha256,
    read_data,
    read_meta,
)
from gan_augment.commands.writing import CANDIDATES
from gan_augment.data.images.contact_sheet import SheetRow, contact_sheet
from gan_augment.data.images.png_folder import png_bytes
from gan_augment.data.images.reader import read_images
from gan_augment.data.images.sources import Scan, refuse_bad
from gan_augment.data.signals import holds_signals
from gan_augment.data.tables.encoding import encoded_width
from gan_augment.data.topup_plan import explain_rare, rare_classes
from gan_augment.errors import OutputExistsError, UnreadableFilesError, UsageError, plural
from gan_augment.generators import model_path
from gan_augment.generators.model_file import ModelMeta
from gan_augment.kinds import kind_named
from gan_augment.options import FitOptions
from gan_augment.progress import Progress
from gan_augment.storage.files import clean_stale, write_file

if TYPE_CHECKING:
    from gan_augment.data.tables.reader import ReadTable
    from gan_augment.generators.image_gan import ImageGAN

__all__ = ["DataReport", "RunReport", "inspect_data", "inspect_run"]

_FILES_LISTED = 20
_MOST_BLOCKS = 8
_OF_COLUMNS = {"name", "kind", "dtype", "missing", "why"}


@dataclass(frozen=True)
class DataReport:
    """The result of one pass over the data.

    counts: {class: rows}. facts: entries for JSON that depend on the kind of data. details: the
    same in lines for people. problem: why a fit would stop, or None.
    """

    source: str
    unit: str
    counts: dict[str, int]
    facts: dict[str, Any]
    details: list[str]
    notes: tuple[str, ...]
    problem: str | None = None

    @property
    def rare(self) -> tuple[str, ...]:
        """Return the classes selected by `--classes rare`."""
        return rare_classes(self.counts)

    def to_dict(self) -> dict[str, Any]:
        """Return the report, ready for JSON."""
        head = {"source": self.source, "classes": self.counts, "rare": list(self.rare)}
        why = {"why": explain_rare(self.counts), "problem": self.problem}
        return {**head, **why, **self.facts, "notes": list(self.notes)}

    def lines(self) -> list[str]:
        """Return the report for people."""
        rows, classes = sum(self.counts.values()), len(self.counts)
        return [
            f"{self.source}: {rows} {self.unit} of {classes} classes",
            *_class_lines(self.counts, self.rare, "rare"),
            explain_rare(self.counts),
            *self.details,
            *(f"note: {note}" for note in self.notes),
            *([f"a fit stops here: {self.problem}"] if self.problem else []),
        ]


@dataclass(frozen=True)
class RunReport:
    """The description of a trained model. samples: the picture that was drawn."""

    run: str
    sha256: str
    facts: Meta
    samples: str | None = None

    @property
    def warnings(self) -> tuple[str, ...]:
        """Return what a user must know before sharing the model."""
        facts, notes = self.facts, []
        if n := facts.anchors:
            rows = "1 training row" if n == 1 else f"{n} training rows"
            how = "as they are" if facts.recipe.generator.from_rows else "in encoded form"
            notes.append(
                f"this model contains {rows} {how} and can draw {facts.unit} close to them: "
                "share it only with those who may see the training data"
            )
        if n := facts.compared:
            notes.append(
                f"the model contains features of {n} training rows, compared by its selection"
            )
        return tuple(notes)

    def to_dict(self) -> dict[str, Any]:
        """Return the description, ready for JSON."""
        values: dict[str, Any] = {"run": self.run, "model_sha256": self.sha256}
        values |= {"samples": self.samples, "advised_share": self.facts.advised_share}
        stored = json.loads(self.facts.model_dump_json(exclude={"format"}))  # NaN becomes null
        return {**values, **stored, "warnings": list(self.warnings)}

    def lines(self) -> list[str]:
        """Return the description for people."""
        facts = self.facts
        return [
            f"{self.run}: {facts.kind} model of {len(facts.classes)} classes",
            *_class_lines(facts.classes, facts.topped_up, "topped up"),
            *facts.data_lines(),
            f"recipe: {facts.recipe.name}, {facts.recipe.generator.kind} generator, "
            f"{facts.steps} steps, seed {facts.seed}, {facts.precision}, threads {facts.threads}",
            *facts.kept_lines(),
            f"data sha256: {facts.data_sha256}",
            f"model sha256: {self.sha256}",
            *(f"note: {warning}" for warning in self.warnings),
            *([f"look at {self.samples}"] if self.samples else []),
        ]


def inspect_data(
    source: str | Path,
    *,
    target: str | None = None,
    columns: Mapping[str, str] | None = None,
    workers: int | None = None,
    window: int | None = None,
    skip_bad: bool = False,
    progress: Progress | None = None,
) -> DataReport:
    """Report the content of a folder of classes, a manifest, an `.npz` or a table.

    Every file is decoded once. Unusable files are listed; the report says whether a fit would stop
    for them.

    Parameters
    ----------
    source
        The data.
    target
        The column of labels; with it the data is a table.
    columns
        {column: kind}, for columns whose kind is not to be inferred.
    workers, window
        Processes that decode images; samples that signals are cut to.
    skip_bad
        Whether a fit skips unusable files.
    progress
        Shows progress.

    Raises
    ------
    DataError
        If there is nothing to read.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "parts.npz"
    ...     np.savez(path, x=np.random.default_rng(0).random((24, 8, 8)), y=[0] * 20 + [1] * 4)
    ...     report = inspect_data(path)
    >>> report.rare, report.facts["image_size"]
    (('1',), [8, 8])
    """
    options = FitOptions(
        target=target, columns=dict(columns or {}), skip_bad=skip_bad, window=window
    )
    if target is not None:
        table = read_data(source, options, progress)
        return _table_report(str(source), table.read)
    check_no_table(Path(source), options)
    if window is None and not holds_signals(Path(source)):
        return _image_report(source, skip_bad, workers, progress)
    kind = read_data(source, options, progress)
    lines = [kind.line()]
    return DataReport(str(source), kind.unit, dict(kind.counts), kind.facts(), lines, kind.notes)


def _image_report(
    source: str | Path, skip_bad: bool, workers: int | None, progress: Progress | None
) -> DataReport:
    """Report the images of a source, including those that would stop a fit."""
    read = read_images(source, skip_bad=True, workers=workers, progress=progress)
    scan, problem = read.scan, None
    try:
        refuse_bad(scan, skip_bad)
    except UnreadableFilesError as error:
        problem = str(error)
    facts, details = scan.to_dict(), _image_lines(scan)
    return DataReport(str(source), "images", scan.counts, facts, details, read.notes, problem)


def inspect_run(
    run: str | Path, *, samples: bool = False, out: str | Path | None = None
) -> RunReport:
    """Describe a trained run: classes, sizes, recipe, data hash, scores, training rows inside.

    Parameters
    ----------
    run
        The folder of the run, or a saved model.
    samples
        Whether to draw which candidates of each class selection keeps and rejects, and why.
    out
        The new .png file for them. None writes `candidates.png` in the run folder, and replaces an
        earlier one.

    Raises
    ------
    ModelFileError
        If there is no model, or its description is damaged.
    UsageError, OutputExistsError, WriteFailedError
        For pictures of a table's run, or a name that is taken.
    """
    run = Path(run)
    meta = read_meta(run)
    drawn = str(_write_candidates(run, meta, out)) if samples else None
    return RunReport(str(run), model_sha256(run), meta, drawn)


def _write_candidates(run: Path, meta: Meta, out: str | Path | None) -> Path:
    """Draw candidates of at most 50 classes, topped-up classes first, into a PNG file.

    Kept candidates stand above rejected ones, which name the criterion they fail. Refused classes
    are shown as well.
    """
    png = (run if run.is_dir() else run.parent) / CANDIDATES if out is None else Path(out)
    if kind_named(meta.kind).tabular:
        raise UsageError(f"{str(run)!r} is the run of a table; its rows are in samples.csv")
    if png.suffix.lower() != ".png":
        raise UsageError(f"{str(png)!r} is not the name of a .png file")
    clean_stale(png.parent, {png.name})
    if png.exists() and out is not None:
        raise OutputExistsError(f"{str(png)!r} exists; name another file, or remove it")
    from gan_augment.generators.image_gan import ImageGAN

    gan = ImageGAN.load(model_path(run), threads=1)
    names = sorted(
        (name for name, n in gan.classes_.items() if n), key=lambda name: name not in gan.topped_up_
    )
    rows = [_judged(gan, name) for name in names[:CLASSES_SHOWN]]
    sheet = png_bytes(contact_sheet(rows, columns=IMAGES_A_CLASS))
    write_file(png, sheet, replace=out is None)
    return png


def _judged(gan: ImageGAN, name: str) -> SheetRow:
    """Return the first kept and the first rejected candidates of a class, at most 12 each."""
    drawn, reasons = gan.candidates(name)
    for number in range(1, _MOST_BLOCKS):
        rejected = int((reasons != "").sum())
        fewest = min(rejected, len(reasons) - rejected)
        if fewest >= IMAGES_A_CLASS or gan.meta_.selection is None:
            break
        more, why = gan.candidates(name, number)
        drawn, reasons = np.concatenate([drawn, more]), np.concatenate([reasons, why])
    kept = reasons == ""
    return SheetRow(
        name,
        _acceptance(gan.meta_, name),
        drawn[kept][:IMAGES_A_CLASS],
        drawn[~kept][:IMAGES_A_CLASS],
        reasons[~kept][:IMAGES_A_CLASS].tolist(),
    )


def _acceptance(meta: ModelMeta, name: str) -> str:
    record = None if meta.selection is None else meta.selection.classes.get(name)
    if record is None:
        return "no selection: every candidate is given"
    if record.acceptance is None:
        return "refused: too few rows to select by"
    return f"{record.acceptance:.0%} kept" + (", so refused" if record.refused else "")


def _class_lines(counts: Mapping[str, int], marked: tuple[str, ...], mark: str) -> list[str]:
    """Return a line per class: its name, its rows, and a mark if it is in `marked`."""
    wide = max((len(name) for name in counts), default=0)
    return [
        f"  {name:<{wide}}  {n:>7}{f'  {mark}' if name in marked else ''}"
        for name, n in counts.items()
    ]


def _image_lines(scan: Scan) -> list[str]:
    height, width = scan.image_size
    sizes = ", ".join(f"{name} {w} x {h}" for name, (h, w) in scan.sizes.items())
    lines = [
        f"sizes (width x height, px): {sizes}",
        f"trained at {width} x {height} px with {plural(scan.channels, 'channel')}",
    ]
    if n := len(scan.rejected):
        first = list(scan.rejected.items())[:_FILES_LISTED]
        listed = [f"  {path}: {reason}" for path, (_, reason) in first]
        more = [f"  and {n - _FILES_LISTED} more"] if n > _FILES_LISTED else []
        lines += [f"{n} file{'s' * (n != 1)} cannot be used:", *listed, *more]
    return lines


def _table_report(source: str, read: ReadTable) -> DataReport:
    """Report the columns as a model learns them, and the memory of the encoded rows."""
    table, schema, width = read.table, read.schema, encoded_width(read.schema)
    n = 4 * width * len(table)
    memory = f"{n / 2**20:,.1f} MiB" if n >= 2**20 else f"{n / 2**10:,.1f} KiB"
    facts = {
        "rows": len(table),
        "target": None if schema.target is None else str(schema.target.name),
        "columns": [
            {**c.model_dump(mode="json", include=_OF_COLUMNS), "levels": len(c.levels)}
            for c in schema.columns
        ],
        "encoded_width": width,
        "encoded_bytes": n,
    }
    details = [*schema.lines(), f"a row becomes {width} numbers; {memory} in all"]
    return DataReport(source, "rows", table.counts, facts, details, read.notes)
