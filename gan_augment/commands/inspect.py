"""`inspect`: report what a data set holds, or what a trained run is. Loads no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gan_augment.commands.source import Source, read_data, read_meta
from gan_augment.commands.writing import next_command
from gan_augment.data.images.sources import Scan, refuse_bad
from gan_augment.data.tables.encoding import encoded_width
from gan_augment.data.topup_plan import explain_rare, rare_classes
from gan_augment.errors import UnreadableFilesError, plural
from gan_augment.generators import model_path
from gan_augment.kinds import kind_named
from gan_augment.kinds.image import IMAGE
from gan_augment.options import FitOptions
from gan_augment.progress import Progress
from gan_augment.storage.bundle import bundle_sha256

if TYPE_CHECKING:
    from gan_augment.data.tables.schema import TableSchema

__all__ = ["Report", "inspect_data", "inspect_run"]

_FILES_LISTED = 20
_OF_COLUMNS = {"name", "kind", "dtype", "missing", "why"}


@dataclass(frozen=True)
class Report:
    """What `inspect` found. values: for JSON. text: in lines for people. following: a command."""

    values: dict[str, Any]
    text: list[str]
    following: str = ""

    def to_dict(self) -> dict[str, Any]:
        return self.values

    def lines(self) -> list[str]:
        return self.text


def inspect_data(
    source: str | Path, options: FitOptions | None = None, progress: Progress | None = None
) -> Report:
    """Report the content of a folder of classes, a manifest, an `.npz` or a table.

    Unusable files are listed; the report says whether a fit would stop for them.

    - source, options, progress: The data, how a fit would read it, and what shows the progress.

    Raises DataError (if there is nothing to read).

    >>> import tempfile
    >>> import numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "parts.npz"
    ...     np.savez(path, x=np.random.default_rng(0).random((24, 8, 8)), y=[0] * 20 + [1] * 4)
    ...     report = inspect_data(path)
    >>> report.to_dict()["rare"], report.to_dict()["image_size"]
    (['1'], [8, 8])
    """
    options, lenient = options or FitOptions(), {}
    if options.target is None:
        lenient = {"skip_bad": True}  # so that all bad files are listed
    read = read_data(source, options.model_copy(update=lenient), progress)
    problem = None
    if read.schema is not None:
        facts, details = _columns(read.schema, len(read.data))
    else:
        facts, details = _files(read)
        try:
            if read.read.scan.rejected:
                refuse_bad(read.read.scan, options.skip_bad)
        except UnreadableFilesError as error:
            problem = str(error)
    counts, notes, advice = dict(read.counts), read.read.notes, read.for_photos
    rare, why = rare_classes(counts), explain_rare(counts)
    values: dict[str, Any] = {"source": str(source), "classes": counts, "rare": list(rare)}
    values |= {"why": why, "problem": problem, **facts}
    values |= {"notes": list(notes), "advice": list(advice)}
    lines = [
        *advice,
        f"{source}: {sum(counts.values())} {read.kind.unit} of {len(counts)} classes",
        *_class_lines(counts, rare, "rare"),
        why,
        *details,
        *(f"note: {note}" for note in notes),
        *([f"a fit stops here: {problem}"] if problem else []),
    ]
    then = next_command("evaluate", source, target=options.target, window=options.window)
    return Report(values, lines, "" if problem or advice else then)


def inspect_run(run: str | Path) -> Report:
    """Describe a trained run, or a saved model; ModelFileError for none, or a damaged one."""
    meta, sha256 = read_meta(run), bundle_sha256(model_path(Path(run)))
    warnings = list[str]()
    if n := meta.anchors:
        rows = "1 training row" if n == 1 else f"{n} training rows"
        how = "as they are" if meta.recipe.generator.from_rows else "in encoded form"
        warnings.append(
            f"this model contains {rows} {how} and can draw {meta.unit} close to them: share it "
            "only with those who may see the training data"
        )
    if meta.selection and (n := meta.selection.compared):
        warnings.append(
            f"the model contains features of {n} training rows, compared by its selection"
        )
    stored = json.loads(meta.model_dump_json(exclude={"format"}))  # NaN becomes null
    values = {"run": str(run), "model_sha256": sha256, "advised_share": meta.advised_share}
    lines = [
        f"{run}: {meta.kind} model of {len(meta.classes)} classes",
        *_class_lines(meta.classes, meta.topped_up, "topped up"),
        *meta.data_lines(),
        f"recipe: {meta.recipe.name}, {meta.recipe.generator.kind} generator, "
        f"{meta.steps} steps, seed {meta.seed}, {meta.precision}, threads {meta.threads}",
        *meta.kept_lines(),
        f"data sha256: {meta.data_sha256}",
        f"model sha256: {sha256}",
        *(f"note: {warning}" for warning in warnings),
    ]
    suffix = ".csv" if kind_named(meta.kind).tabular else ""
    then = next_command("sample", run, f"{Path(run).resolve().stem}-samples{suffix}")
    return Report({**values, **stored, "warnings": warnings}, lines, then)


def _class_lines(counts: Mapping[str, int], marked: tuple[str, ...], mark: str) -> list[str]:
    wide = max((len(name) for name in counts), default=0)
    return [
        f"  {name:<{wide}}  {n:>7}{f'  {mark}' if name in marked else ''}"
        for name, n in counts.items()
    ]


def _files(read: Source) -> tuple[dict[str, Any], list[str]]:
    """Return the sizes of images or signals, and the files that cannot be used."""
    scan: Scan = read.read.scan
    facts, lines = read.facts(), [read.line()]
    if read.kind is IMAGE:
        height, width = scan.image_size
        sizes = ", ".join(f"{name} {w} x {h}" for name, (h, w) in scan.sizes.items())
        channels = plural(scan.channels, "channel")
        facts, lines = scan.to_dict(), [f"sizes (width x height, px): {sizes}"]
        lines.append(f"trained at {width} x {height} px with {channels}")
    if n := len(scan.rejected):
        lines.append(f"{n} file{'s' * (n != 1)} cannot be used:")
        first = list(scan.rejected.items())[:_FILES_LISTED]
        lines += [f"  {path}: {reason}" for path, (_, reason) in first]
        lines += [f"  and {n - _FILES_LISTED} more"] if n > _FILES_LISTED else []
    return facts, lines


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
