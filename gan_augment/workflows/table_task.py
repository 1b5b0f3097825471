"""Fitting on tables: `TableTask`. What tables and images have in common is in `fitting.py`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gan_augment.config import FitOptions
from gan_augment.data.contract import LabelledTable
from gan_augment.data.tables.cells import table_sha256
from gan_augment.data.tables.export import FileFormat
from gan_augment.data.tables.reader import ReadTable
from gan_augment.data.tables.schema import TableSchema
from gan_augment.devices import ComputeConfig, compute_config
from gan_augment.progress import Progress
from gan_augment.recipes import DataKind, Recipe, resolve_recipe
from gan_augment.storage import load_bundle, write_file
from gan_augment.synthesizers.model_file import NAME, TableMeta
from gan_augment.synthesizers.sampling import FEW_ROWS
from gan_augment.synthesizers.tabular_gan import TabularGAN
from gan_augment.training.callbacks import Callback, StopFlag
from gan_augment.training.checkpoint import CheckpointStore
from gan_augment.workflows.run_folder import FILE_FORMAT, MODEL, TABLE_SAMPLES
from gan_augment.workflows.table_samples import samples_csv
from gan_augment.workflows.tasks import Described

if TYPE_CHECKING:
    from gan_augment.workflows.fitting import FitPlan


@dataclass(frozen=True)
class TableTask:
    """A table that was read."""

    read: ReadTable
    kind: DataKind = "table"
    unit: tuple[str, str] = ("row", "rows")
    samples: str = TABLE_SAMPLES

    @property
    def data(self) -> LabelledTable:
        """The rows."""
        return self.read.table

    @property
    def notes(self) -> tuple[str, ...]:
        """What the reader found, and which classes are too small to be learned."""
        few = {name: n for name, n in self.data.counts.items() if 0 < n < FEW_ROWS}
        listed = ", ".join(f"{name} ({n})" for name, n in few.items())
        small = f"too small to be learned: {listed}; their rows are jittered, a lone one repeated"
        return (*self.read.notes, small) if few else self.read.notes

    def sha256(self) -> str:
        """The identity of the data."""
        return table_sha256(self.data)

    def in_words(self) -> str:
        """How many rows, and columns of which kind."""
        n, classes = len(self.data), len(self.data.names)
        columns = self.read.schema.columns
        return f"{n} rows of {classes} classes; {len(columns)} columns: {kinds(self.read.schema)}"

    def facts(self) -> dict[str, Any]:
        """The columns and their kinds."""
        schema = self.read.schema
        return {
            "target": None if schema.target is None else str(schema.target.name),
            "columns": {str(column.name): column.kind for column in schema.columns},
        }

    def recipe(self, options: FitOptions) -> Recipe:
        """The recipe; the first to be tried for "auto"."""
        return resolve_recipe(options.recipe, "table")

    def machine(self, options: FitOptions) -> ComputeConfig:
        """float32 and one thread, unless the options say otherwise: small networks are faster."""
        if options.precision != "auto" or options.threads is not None:
            precision = "float32" if options.precision == "auto" else options.precision
            return compute_config(options.device, precision, options.threads or 1)
        machine = compute_config(options.device, "float32", 1)
        where, _, _ = machine.reason.partition(";")
        why = f"{where}; float32 and one thread, since the networks of a table are small"
        return replace(machine, reason=why)

    def length(self, recipe: Recipe) -> str:
        """The recipe's own steps, of which held-out rows say how many are kept."""
        return f"at most {recipe.steps} steps (the recipe's own; held-out rows choose how many)"

    def begin(self, plan: FitPlan, callbacks: Sequence[Callback]) -> TableFit:
        """A fit of the table."""
        options = plan.options
        gan = TabularGAN(
            recipe=options.recipe,
            steps=options.steps,
            budget_s=options.budget_s,
            classes=plan.topped_up,
            device=options.device,
            precision=options.precision,
            threads=options.threads,
            random_state=options.seed,
            callbacks=callbacks,
        )
        return TableFit(gan, self)

    def found(self, about: Described) -> tuple[str, ...]:
        """Nothing: a table's rows are not selected."""
        return ()

    def saved(self, run: Path) -> TableMeta:
        """The description of the model in a run, its arrays verified."""
        return load_bundle(run / MODEL, NAME, schema=TableMeta)[1]

    def chosen(self, about: Described) -> str:
        """The kept generator and why."""
        reason = getattr(about, "reason", "")
        return f"kept: {about.chosen}; {reason}"


@dataclass(frozen=True)
class TableFit:
    """A fit of a `TabularGAN`."""

    gan: TabularGAN
    task: TableTask

    def train(
        self,
        *,
        checkpoints: CheckpointStore,
        resume: bool,
        force: bool,
        on_steps: Callable[[int, ComputeConfig], None],
        progress: Progress,
        stop: StopFlag,
    ) -> None:
        """Train on the rows."""
        self.gan.fit(
            self.task.data,
            schema=self.task.read.schema,
            checkpoints=checkpoints,
            resume=resume,
            force=force,
            on_steps=on_steps,
            progress=progress,
            stop=stop,
        )

    @property
    def about(self) -> TableMeta | None:
        """The description of the model, once there is one."""
        return getattr(self.gan, "meta_", None)

    def write(self, run: Path) -> None:
        """The model, how its training file is written, and real rows beside synthetic ones."""
        self.gan.save(run / MODEL)
        file_format = FileFormat.of(self.task.read.source)
        write_file(run / FILE_FORMAT, file_format.model_dump_json(exclude_defaults=True).encode())
        write_file(run / TABLE_SAMPLES, samples_csv(self.gan, self.task.read, file_format))


def kinds(schema: TableSchema) -> str:
    """How many columns of each kind.

    >>> from gan_augment.data.tables.schema import Column
    >>> columns = [Column(name=n, kind="numeric", dtype="int64") for n in "ab"]
    >>> kinds(TableSchema(columns=tuple(columns)))
    '2 numeric'
    """
    return ", ".join(f"{n} {kind}" for kind, n in Counter(c.kind for c in schema.columns).items())
