"""`inspect`: what a data set holds, and what a trained run is. Changes nothing of either.

Loads no torch, but for the picture of a run's candidates.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gan_augment.config import FitOptions
from gan_augment.data.images.reader import read_images
from gan_augment.data.images.scan import Scan, refuse_bad
from gan_augment.data.topup_plan import explain_rare, rare_classes
from gan_augment.errors import UnreadableFilesError
from gan_augment.progress import Progress
from gan_augment.synthesizers.model_file import ModelMeta, TableMeta
from gan_augment.workflows.model_facts import model_facts, model_sha256
from gan_augment.workflows.reading import check_no_table
from gan_augment.workflows.table_inspection import TableReport, TableRunReport, inspect_table

__all__ = ["DataReport", "RunReport", "inspect_data", "inspect_run"]

_SHOWN = 20


@dataclass(frozen=True)
class DataReport:
    """What one pass over the data found. problem: why a fit would stop here, or None."""

    source: str
    scan: Scan
    notes: tuple[str, ...]
    problem: str | None = None

    @property
    def rare(self) -> tuple[str, ...]:
        """The classes that `--classes rare` means."""
        return rare_classes(self.scan.counts)

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        facts = {"source": self.source, "rare": list(self.rare)}
        why = {"why": explain_rare(self.scan.counts), "problem": self.problem}
        return {**facts, **why, **self.scan.to_dict(), "notes": list(self.notes)}

    def lines(self) -> list[str]:
        """The same for people."""
        scan, counts = self.scan, self.scan.counts
        height, width = scan.image_size
        kinds = ", ".join(f"{mode} ({n})" for mode, n in scan.modes.items())
        sizes = ", ".join(f"{name} {w} x {h}" for name, (h, w) in scan.sizes.items())
        wide = max((len(name) for name in counts), default=0)
        return [
            f"{self.source}: {len(scan.entries)} images of {len(counts)} classes",
            *(
                f"  {name:<{wide}}  {n:>7}{'  rare' if name in self.rare else ''}"
                for name, n in counts.items()
            ),
            explain_rare(counts),
            f"sizes (width x height, px): {sizes}; modes: {kinds}",
            f"trained at {width} x {height} px with {scan.channels} channels",
            *_rejected_lines(scan),
            *(f"note: {note}" for note in self.notes),
            *([f"a fit stops here: {self.problem}"] if self.problem else []),
        ]


@dataclass(frozen=True)
class RunReport:
    """What a trained model is, as it was saved with it. samples: the picture that was drawn."""

    run: str
    sha256: str
    facts: ModelMeta
    samples: str | None = None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What somebody who passes the model on must know."""
        facts, notes = self.facts, []
        if n := facts.anchors:
            rows = "1 training row" if n == 1 else f"{n} training rows"
            notes.append(
                f"this model contains {rows} in encoded form and can draw images close to them: "
                "share it only with those who may see the training data"
            )
        if facts.selection and (n := facts.selection.compared):
            notes.append(
                f"its selection compares with features of {n} training rows, which are inside"
            )
        return tuple(notes)

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        facts = self.facts.model_dump(mode="json", exclude={"format"})
        plain = {"run": self.run, "model_sha256": self.sha256, "samples": self.samples, **facts}
        plain["advised_share"] = self.facts.advised_share
        return {**_finite(plain), "warnings": list(self.warnings)}

    def lines(self) -> list[str]:
        """The same for people."""
        facts = self.facts
        height, width, channels = facts.image_shape
        score = "none" if facts.score.value is None else f"{facts.score.value:.4g}"
        wide = max((len(name) for name in facts.classes), default=0)
        return [
            f"{self.run}: {facts.kind} model of {len(facts.classes)} classes",
            *(
                f"  {name:<{wide}}  {n:>7}{'  topped up' if name in facts.topped_up else ''}"
                for name, n in facts.classes.items()
            ),
            f"images: {width} x {height} px, {channels} channels{_original(facts)}",
            f"recipe: {facts.recipe.name}, {facts.recipe.generator.kind} generator, "
            f"{facts.steps} steps, seed {facts.seed}, {facts.precision}, threads {facts.threads}",
            f"chosen: {facts.chosen}; score {score} (lower is better)",
            *facts.selection_lines(),
            *((facts.artefacts.in_words(), facts.advice()) if facts.artefacts else ()),
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
    skip_bad: bool = False,
    progress: Progress | None = None,
) -> DataReport | TableReport:
    """What is in a folder of classes, a manifest or an `.npz`: every file is decoded once.

    With `target`, the column of labels, it is a table; columns: {column: kind}, where the kind is
    not to be inferred.
    Files that cannot be used are listed, not raised for; where a fit would stop for them (see
    `skip_bad`), the report says so. Raises DataError where there is nothing to read.

    >>> import tempfile
    >>> import numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "parts.npz"
    ...     np.savez(path, x=np.random.default_rng(0).random((24, 8, 8)), y=[0] * 20 + [1] * 4)
    ...     report = inspect_data(path)
    >>> report.rare, report.scan.image_size
    (('1',), (8, 8))
    """
    asked = FitOptions(target=target, columns=dict(columns or {}), skip_bad=skip_bad)
    if target is not None:
        return inspect_table(source, asked, progress)
    check_no_table(Path(source), asked)
    found = read_images(source, skip_bad=True, workers=workers, progress=progress)
    problem = None
    try:
        refuse_bad(found.scan, skip_bad)
    except UnreadableFilesError as error:
        problem = str(error)
    return DataReport(str(source), found.scan, found.notes, problem)


def inspect_run(
    run: str | Path, *, samples: bool = False, out: str | Path | None = None
) -> RunReport | TableRunReport:
    """What a trained run is: classes, sizes, recipe, data hash, scores, and what it contains.

    samples: draw what selection keeps and rejects of each class, and why, into the new .png `out`
    or, without a name, into `candidates.png` of the run folder.
    Raises ModelFileError where there is no model, or its description is damaged, and what
    `candidates.write_candidates` raises.
    """
    run = Path(run)
    facts = model_facts(run)
    drawn = None
    if samples:
        from gan_augment.workflows.candidates import write_candidates

        drawn = str(write_candidates(run, out))
    if isinstance(facts, TableMeta):
        return TableRunReport(str(run), model_sha256(run), facts)
    return RunReport(str(run), model_sha256(run), facts, drawn)


def _rejected_lines(scan: Scan) -> list[str]:
    if not scan.rejected:
        return []
    listed = [f"  {path}: {reason}" for path, reason in list(scan.rejected.items())[:_SHOWN]]
    more = len(scan.rejected) - _SHOWN
    n = len(scan.rejected)
    head = f"{n} file{'s' * (n != 1)} cannot be used:"
    return [head, *listed, *([f"  and {more} more"] if more > 0 else [])]


def _original(facts: ModelMeta) -> str:
    if facts.original_size is None:
        return ""
    height, width = facts.original_size
    return f" (the files: {width} x {height} px, {facts.resize})"


def _finite(value: Any) -> Any:
    """The values with NaN and infinities, which JSON does not know, as None."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
