"""`inspect` for tables: what a file holds, and what a model of one is. Loads no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gan_augment.config import FitOptions
from gan_augment.data.tables.encoding import encoded_width
from gan_augment.data.tables.reader import ReadTable
from gan_augment.data.tables.schema import Column
from gan_augment.data.topup_plan import explain_rare, rare_classes
from gan_augment.progress import Progress
from gan_augment.synthesizers.model_file import TableMeta
from gan_augment.workflows.reading import read_as_asked

__all__ = ["TableReport", "TableRunReport", "inspect_table"]


@dataclass(frozen=True)
class TableReport:
    """What one reading of a table found."""

    source: str
    read: ReadTable

    @property
    def rare(self) -> tuple[str, ...]:
        """The classes that `--classes rare` means."""
        return rare_classes(self.read.table.counts)

    @property
    def width(self) -> int:
        """Numbers that a row becomes for the networks."""
        return encoded_width(self.read.schema)

    @property
    def encoded_bytes(self) -> int:
        """Memory of all rows for the networks."""
        return 4 * self.width * len(self.read.table)

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        table, schema = self.read.table, self.read.schema
        return {
            "source": self.source,
            "rows": len(table),
            "classes": table.counts,
            "rare": list(self.rare),
            "why": explain_rare(table.counts),
            "target": None if schema.target is None else str(schema.target.name),
            "columns": [_facts(column) for column in schema.columns],
            "encoded_width": self.width,
            "encoded_bytes": self.encoded_bytes,
            "notes": list(self.read.notes),
        }

    def lines(self) -> list[str]:
        """The same for people."""
        table, schema = self.read.table, self.read.schema
        counts = table.counts
        wide = max(len(name) for name in counts)
        return [
            f"{self.source}: {len(table)} rows of {len(counts)} classes",
            *(
                f"  {name:<{wide}}  {n:>7}{'  rare' if name in self.rare else ''}"
                for name, n in counts.items()
            ),
            explain_rare(counts),
            *schema.lines(),
            f"a row becomes {self.width} numbers; {_megabytes(self.encoded_bytes)} in all",
            *(f"note: {note}" for note in self.read.notes),
        ]


@dataclass(frozen=True)
class TableRunReport:
    """What a trained model of a table is, as it was saved with it."""

    run: str
    sha256: str
    facts: TableMeta

    @property
    def warnings(self) -> tuple[str, ...]:
        """What somebody who passes the model on must know."""
        n = self.facts.anchors
        if not n:
            return ()
        rows = "1 training row" if n == 1 else f"{n} training rows"
        return (
            f"this model contains {rows} in encoded form and can draw rows close to them: "
            "share it only with those who may see the training data",
        )

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        facts = self.facts.model_dump(mode="json", exclude={"format"})
        plain = {"run": self.run, "model_sha256": self.sha256, **facts}
        return {**plain, "warnings": list(self.warnings)}

    def lines(self) -> list[str]:
        """The same for people."""
        facts = self.facts
        wide = max((len(name) for name in facts.classes), default=0)
        few = ", ".join(f"{name} ({n})" for name, n in facts.few.items())
        return [
            f"{self.run}: {facts.kind} model of {len(facts.classes)} classes",
            *(
                f"  {name:<{wide}}  {n:>7}{'  topped up' if name in facts.topped_up else ''}"
                for name, n in facts.classes.items()
            ),
            *([f"too small to be learned, rows jittered: {few}"] if few else []),
            *facts.table.lines(),
            f"recipe: {facts.recipe.name}, {facts.recipe.generator.kind} generator, "
            f"{facts.steps} steps, seed {facts.seed}, {facts.precision}, threads {facts.threads}",
            f"kept: {facts.chosen}; {facts.reason}",
            f"data sha256: {facts.data_sha256}",
            f"model sha256: {self.sha256}",
            *(f"note: {warning}" for warning in self.warnings),
        ]


def inspect_table(
    source: str | Path, options: FitOptions, progress: Progress | None = None
) -> TableReport:
    """What is in a table: its columns as a model would learn them, its classes, what is odd.

    options: target and columns are used. Raises DataError, UsageError.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "parts.csv"
    ...     _ = path.write_text(
    ...         "size,kind,ok\\n" + "1.5,a,yes\\n2.5,b,yes\\n" * 9 + "3.5,a,no\\n" * 2
    ...     )
    ...     report = inspect_table(path, FitOptions(target="ok"))
    >>> report.rare, [column.kind for column in report.read.schema.columns], report.width
    (('no',), ['numeric', 'categorical'], 3)
    """
    read = read_as_asked(source, options, progress)
    assert isinstance(read, ReadTable)
    return TableReport(str(source), read)


def _facts(column: Column) -> dict[str, Any]:
    return {
        "name": str(column.name),
        "kind": column.kind,
        "dtype": column.dtype,
        "missing": column.missing,
        "levels": len(column.levels),
        "why": column.why,
    }


def _megabytes(n: int) -> str:
    return f"{n / 2**20:,.1f} MiB" if n >= 2**20 else f"{n / 2**10:,.1f} KiB"
