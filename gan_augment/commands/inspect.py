"""`inspect`: report what a data set holds, or what a trained run is. Loads no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gan_augment.commands.source import (
    model_sha256,
    read_data,
    read_meta,
)
from gan_augment.data.images.sources import Scan, refuse_bad
from gan_augment.data.tables.encoding import encoded_width
from gan_augment.data.topup_plan import explain_rare, rare_classes
from gan_augment.errors import UnreadableFilesError, plural
from gan_augment.generators.model_file import ModelMeta
from gan_augment.kinds.image import IMAGE
from gan_augment.options import FitOptions
from gan_augment.progress import Progress

if TYPE_CHECKING:
    from gan_augment.data.tables.schema import TableSchema

__all__ = ["DataReport", "RunReport", "inspect_data", "inspect_run"]

_FILES_LISTED = 20
_OF_COLUMNS = {"name", "kind", "dtype", "missing", "why"}


@dataclass(frozen=True)
class DataReport:
    """The result of one pass over the data.

    counts: {class: rows}. facts: entries for JSON that depend on the kind of data. details: the
    same in lines for people. problem: why a fit would stop, or None. advice: what to do instead.
    """

    source: str
    unit: str
    counts: dict[str, int]
    facts: dict[str, Any]
    details: list[str]
    notes: tuple[str, ...]
    problem: str | None = None
    advice: tuple[str, ...] = ()

    @property
    def rare(self) -> tuple[str, ...]:
        """Return the classes selected by `--classes rare`."""
        return rare_classes(self.counts)

    def to_dict(self) -> dict[str, Any]:
        """Return the report, ready for JSON."""
        head = {"source": self.source, "classes": self.counts, "rare": list(self.rare)}
        why = {"why": explain_rare(self.counts), "problem": self.problem}
        notes = {"notes": list(self.notes), "advice": list(self.advice)}
        return {**head, **why, **self.facts, **notes}

    def lines(self) -> list[str]:
        """Return the report for people."""
        rows, classes = sum(self.counts.values()), len(self.counts)
        return [
            *self.advice,
            f"{self.source}: {rows} {self.unit} of {classes} classes",
            *_class_lines(self.counts, self.rare, "rare"),
            explain_rare(self.counts),
            *self.details,
            *(f"note: {note}" for note in self.notes),
            *([f"a fit stops here: {self.problem}"] if self.problem else []),
        ]


@dataclass(frozen=True)
class RunReport:
    """The description of a trained model."""

    run: str
    sha256: str
    facts: ModelMeta

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
        values["advised_share"] = self.facts.advised_share
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
        ]


def inspect_data(
    source: str | Path, options: FitOptions | None = None, progress: Progress | None = None
) -> DataReport:
    """Report the content of a folder of classes, a manifest, an `.npz` or a table.

    Unusable files are listed; the report says whether a fit would stop for them.

    Parameters
    ----------
    source, options
        The data, and how a fit would read it.
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
    options = options or FitOptions()
    skip_bad = options.skip_bad
    if options.target is None:
        options = options.model_copy(update={"skip_bad": True})  # so that all bad files are listed
    read = read_data(source, options, progress)
    facts, details, problem = read.facts(), [read.line()], None
    if read.schema is not None:
        facts, details = _columns(read.schema, len(read.data))
    else:
        scan: Scan = read.read.scan
        if read.kind is IMAGE:
            height, width = scan.image_size
            sizes = ", ".join(f"{name} {w} x {h}" for name, (h, w) in scan.sizes.items())
            channels = plural(scan.channels, "channel")
            facts, details = scan.to_dict(), [f"sizes (width x height, px): {sizes}"]
            details.append(f"trained at {width} x {height} px with {channels}")
        details += _rejected_lines(scan)
        try:
            if scan.rejected:
                refuse_bad(scan, skip_bad)
        except UnreadableFilesError as error:
            problem = str(error)
    about = facts, details, read.read.notes, problem, read.for_photos
    return DataReport(str(source), read.kind.unit, dict(read.counts), *about)


def inspect_run(run: str | Path) -> RunReport:
    """Describe a trained run: classes, sizes, recipe, data hash, scores, training rows inside.

    run: the folder of the run, or a saved model. Raises ModelFileError if there is no model, or its
    description is damaged.
    """
    return RunReport(str(run), model_sha256(run), read_meta(run))


def _class_lines(counts: Mapping[str, int], marked: tuple[str, ...], mark: str) -> list[str]:
    """Return a line per class: its name, its rows, and a mark if it is in `marked`."""
    wide = max((len(name) for name in counts), default=0)
    return [
        f"  {name:<{wide}}  {n:>7}{f'  {mark}' if name in marked else ''}"
        for name, n in counts.items()
    ]


def _rejected_lines(scan: Scan) -> list[str]:
    if not (n := len(scan.rejected)):
        return []
    first = list(scan.rejected.items())[:_FILES_LISTED]
    listed = [f"  {path}: {reason}" for path, (_, reason) in first]
    more = [f"  and {n - _FILES_LISTED} more"] if n > _FILES_LISTED else []
    return [f"{n} file{'s' * (n != 1)} cannot be used:", *listed, *more]


def _columns(schema: TableSchema, rows: int) -> tuple[dict[str, Any], list[str]]:
    """Return the columns as a model learns them and the memory of the encoded rows."""
    width = encoded_width(schema)
    n = 4 * width * rows
    memory = f"{n / 2**20:,.1f} MiB" if n >= 2**20 else f"{n / 2**10:,.1f} KiB"
    columns = [
        {**c.model_dump(mode="json", include=_OF_COLUMNS), "categories": len(c.categories)}
        for c in schema.columns
    ]
    target = None if schema.target is None else str(schema.target.name)
    facts = {"rows": rows, "target": target, "columns": columns}
    facts |= {"encoded_width": width, "encoded_bytes": n}
    return facts, [*schema.lines(), f"a row becomes {width} numbers; {memory} in all"]
