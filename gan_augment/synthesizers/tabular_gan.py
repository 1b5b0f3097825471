"""`TabularGAN`: fit on a labelled table, sample exactly what is asked, save, load."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from gan_augment import devices
from gan_augment.data.contract import LabelledTable
from gan_augment.data.tables.cells import table_sha256
from gan_augment.data.tables.columns import output_frame
from gan_augment.data.tables.inference import infer_schema
from gan_augment.data.tables.schema import TableSchema
from gan_augment.data.topup_plan import choose_classes
from gan_augment.devices import Machine, Precision, choose_machine
from gan_augment.errors import (
    DataError,
    DivergedError,
    NotFittedError,
    UsageError,
    unknown_class,
)
from gan_augment.processes import available_cores
from gan_augment.progress import Progress, Silent
from gan_augment.recipes import Recipe
from gan_augment.storage import load_bundle, read_bundle_bytes, save_bundle
from gan_augment.synthesizers.arguments import check_length, checked_counts, checked_seed
from gan_augment.synthesizers.model_file import NAME, ScoreRecord
from gan_augment.synthesizers.pickling import Packed, machine_here, packed
from gan_augment.synthesizers.row_sampler import FEW_ROWS, RowSampler
from gan_augment.synthesizers.saving import RunSaver
from gan_augment.synthesizers.shown import ShownEvents
from gan_augment.synthesizers.table_arrays import load_table_sampler, table_arrays
from gan_augment.synthesizers.table_file import TableMeta
from gan_augment.synthesizers.table_preparing import AsInTrials, chosen, encoded
from gan_augment.synthesizers.table_run import new_run, sampler_of
from gan_augment.synthesizers.table_trials import MARKS, Choice
from gan_augment.training.callbacks import Callback, StopFlag
from gan_augment.training.checkpoint import CheckpointStore
from gan_augment.training.loop import Run, train
from gan_augment.training.parts import load_network

if TYPE_CHECKING:
    from pandas import DataFrame


class TabularGAN:
    """A class-conditional GAN on the rows of a table, trained on all classes.

    Parameters
    ----------
    recipe
        "auto" (anchored, or free where that does better on held-out training rows), "anchored",
        "free", the path of a .toml file, or a Recipe.
    steps
        Generator steps; None is the recipe's own number.
    budget_s
        Seconds instead, turned into steps once; steps win if both are given.
    classes
        "rare", "all", names; the classes that are topped up, and that the choices serve.
    trials
        Whether held-out training rows choose the recipe and how much training is kept. False trains
        `steps` steps of the recipe and keeps the last; 0 steps are interpolation alone.
    device, precision, threads
        "auto" or None decide: float32, and one thread, since small networks are faster so; rows are
        sampled on all cores.
    random_state
        The seed, an int >= 0.
    callbacks
        Told every event of training.

    Attributes
    ----------
    classes_
        {name: training rows}; this and what follows are there after `fit` or `load`.
    topped_up_, schema_, recipe_, steps_
        Names of classes, what each column was taken for, how and how long it was trained.
    meta_
        Everything a saved model says.

    Notes
    -----
    A class of 2 to 9 rows is not learned, but interpolated and jittered; a lone row is repeated. An
    anchored model contains encoded training rows; share it as you would share the data.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from gan_augment import TabularGAN
    >>> from gan_augment.data.tables.reader import read_frame
    >>> rng = np.random.default_rng(0)
    >>> frame = pd.DataFrame({"age": rng.integers(18, 90, 60), "smoker": rng.random(60) < 0.3})
    >>> read = read_frame(frame, y=["ill"] * 12 + ["well"] * 48)
    >>> gan = TabularGAN(steps=4, device="cpu", threads=1).fit(read.table, schema=read.schema)
    >>> made = gan.sample({"ill": 3})
    >>> made.counts, made.frame.dtypes["age"] == frame.dtypes["age"]
    ({'ill': 3, 'well': 0}, True)
    """

    classes_: dict[str, int]
    topped_up_: tuple[str, ...]
    schema_: TableSchema
    recipe_: Recipe
    steps_: int
    meta_: TableMeta

    def __init__(
        self,
        *,
        recipe: str | Recipe = "auto",
        steps: int | None = None,
        budget_s: float | None = None,
        classes: str | Sequence[str] = "rare",
        trials: bool = True,
        device: str = "auto",
        precision: Precision = "auto",
        threads: int | None = None,
        random_state: int = 0,
        callbacks: Sequence[Callback] = (),
    ) -> None:
        self.recipe = recipe
        self.steps = steps
        self.budget_s = budget_s
        self.classes = classes
        self.trials = trials
        self.device = device
        self.precision: Precision = precision
        self.threads = threads
        self.random_state = random_state
        self.callbacks = callbacks

    def fit(
        self,
        data: LabelledTable,
        *,
        schema: TableSchema | None = None,
        checkpoints: CheckpointStore | None = None,
        resume: bool = False,
        force: bool = False,
        on_steps: Callable[[int, Machine], None] | None = None,
        progress: Progress | None = None,
        stop: StopFlag | None = None,
    ) -> Self:
        """Train on every class of `data`; the caller's frame stays as it is.

        schema: what the columns are; inferred where it is not given. The other parameters, and what
        is raised, are those of `ImageGAN.fit`.
        """
        progress, stop, seed = (
            progress or Silent(),
            stop or StopFlag(),
            checked_seed(self.random_state),
        )
        check_length(self.steps, self.budget_s, least=1 if self.trials else 0)
        topped_up = choose_classes(self.classes, data.counts)
        rare = {data.names.index(name): name for name in topped_up}
        machine = self._machine()
        schema = schema or infer_schema(data.frame)
        with devices.threads(machine.threads):
            table = encoded(data, schema, machine, seed)
            choice, steps = chosen(
                table,
                self.recipe,
                self.steps,
                self.budget_s,
                tuple(rare) if self.trials else (),
                seed=seed,
                progress=progress,
                stop=stop,
            )
            progress.note(choice.reason)
            callbacks = [*self.callbacks, ShownEvents(progress, "rows")]
            run, anchors = new_run(
                table, choice.recipe, steps, seed, stop=stop, callbacks=callbacks, scores=MARKS
            )
            sampler = sampler_of(run.state.average, anchors, table, run.parts)
            scorer = AsInTrials(choice, steps, sampler, anchors, rare)
            run.scorer = scorer
            saver = RunSaver(checkpoints, run, table_sha256(data), force)
            if resume:
                saver.take_up(progress)
            scorer.begin(run)
            if on_steps:
                on_steps(steps, machine)
            progress.phase("training", steps)
            diverged = None
            try:
                train(run)
            except DivergedError as error:
                if not run.best.arrays:
                    raise
                diverged = error
        self._finish(run, sampler, progress)
        self._describe(data, schema, run, choice, topped_up, saver.data_sha256)
        if diverged:
            raise diverged
        return self

    def as_chosen(self, random_state: int = 0) -> TabularGAN:
        """An unfitted twin that trains as much of the recipe as this one kept, without trials.

        For fits on parts of the same data, which then need not choose again.
        """
        kept = self._fitted().meta_.score.step
        return TabularGAN(
            recipe=self.recipe_,
            steps=self.steps_ if kept < 0 else kept,
            classes="all",  # of the part, which may lack some
            trials=False,
            device=self.device,
            precision=self.precision,
            threads=self.threads,
            random_state=random_state,
        )

    def sample(
        self,
        counts: Mapping[str, int],
        random_state: int = 0,
        source: LabelledTable | None = None,
    ) -> LabelledTable:
        """Exactly `counts` = {class: n} new rows in that order, ids "synthetic-<class>-000000".

        The first rows are the same however many are asked for, but for id-like columns, which are
        numbered through the whole result. source: rows to start from; no recipe takes one yet.
        Raises UnknownClassError, UsageError (a negative count, a source), DataError (a class
        without a row).
        """
        import pandas as pd

        if source is not None:
            raise UsageError("no recipe of this version starts from given rows; leave out `source`")
        names = tuple(self._fitted().classes_)
        counts = checked_counts(counts)
        frames, done = [], 0
        for name, n in counts.items():
            frames.append(self.sample_range(name, 0, n, random_state, first_id=done))
            done += n
        labels = [
            np.full(len(f), names.index(name)) for f, name in zip(frames, counts, strict=True)
        ]
        ids = [f"synthetic-{name}-{i:06d}" for name, n in counts.items() for i in range(n)]
        filled = [frame for frame in frames if len(frame)] or [self.sample_range(names[0], 0, 0)]
        return LabelledTable(
            frame=pd.concat(filled, ignore_index=True),
            labels=np.concatenate([*labels, np.empty(0)]).astype(np.int64),
            ids=np.array(ids, dtype=np.str_),
            class_names=names,
        )

    def sample_range(
        self, name: str, start: int, stop: int, random_state: int = 0, first_id: int = 0
    ) -> DataFrame:
        """Rows [start, stop) of the endless sequence of a class, feature columns as in training.

        Id-like columns are numbered from `first_id` on.
        """
        self._fitted()
        if name not in self.classes_:
            raise unknown_class(name, self.classes_)
        if stop > start and not self.classes_[name]:
            raise DataError(
                f"class {name!r} has no training row, so it cannot be drawn. Add rows of it and "
                "fit again."
            )
        label = list(self.classes_).index(name)
        workers = self.threads or available_cores()
        cells = self._sampler.cells(label, name, start, stop, random_state, workers)
        return output_frame(cells, self.schema_, max(stop - start, 0), first_id)

    def save(self, folder: str | Path) -> None:
        """Write the model as a new folder: safetensors and JSON, whole or not at all."""
        self._fitted()
        described = self.meta_.model_dump(mode="json", by_alias=True)
        save_bundle(Path(folder), table_arrays(self._sampler), described, NAME)

    @classmethod
    def load(
        cls, folder: str | Path, *, device: str = "auto", threads: int | None = None
    ) -> TabularGAN:
        """Read a saved model, verified; or ModelFileError."""
        arrays, meta = load_bundle(Path(folder), NAME, schema=TableMeta)
        gan = cls(
            recipe=meta.recipe,
            steps=meta.steps,
            classes=meta.topped_up,
            device=device,
            threads=threads,
            random_state=meta.seed,
        )
        machine = choose_machine(device, "float32", threads or 1)
        gan._sampler = load_table_sampler(arrays, meta, machine)
        gan._take(meta)
        return gan

    def __getstate__(self) -> Packed:
        fitted = hasattr(self, "_sampler")
        arrays = table_arrays(self._sampler) if fitted else None
        return packed(vars(self), arrays, self.meta_ if fitted else None)

    def __setstate__(self, state: Packed) -> None:
        vars(self).update(state["settings"])
        if state["model"] is not None:
            arrays, meta = read_bundle_bytes(state["model"], NAME, schema=TableMeta)
            machine = machine_here(self.device, "float32", self.threads or 1)
            self._sampler = load_table_sampler(arrays, meta, machine)
            self._take(meta)

    def _finish(self, run: Run, sampler: RowSampler, progress: Progress) -> None:
        """Put the best averaged generator into the sampler."""
        if run.best.arrays:
            load_network(run.state.average, run.best.arrays)
        else:
            progress.warn(
                "no scored generator had enough spread; the last one is kept. More rows of the "
                "class, or --recipe anchored, may cure it."
            )
        self._sampler = sampler

    def _describe(
        self,
        data: LabelledTable,
        schema: TableSchema,
        run: Run,
        choice: Choice,
        topped_up: tuple[str, ...],
        sha256: str,
    ) -> None:
        best, parts = run.best, run.parts
        tried = bool(best.arrays) and bool(choice.curve)
        kept = best.step if best.arrays else run.steps
        meta = {
            "classes": data.counts,
            "topped_up": topped_up,
            "table": schema,
            "few": {name: n for name, n in data.counts.items() if 0 < n < FEW_ROWS},
            "recipe": parts.recipe,
            "steps": run.steps,
            "seed": run.state.seed,
            "precision": parts.machine.precision,
            "threads": parts.machine.threads,
            "data_sha256": sha256,
            "score": ScoreRecord(
                value=best.value if tried else None, step=best.step, parts=dict(best.parts)
            ),
            "chosen": f"step {kept}" if kept else "interpolation",
            "reason": choice.told(best),
            "trials": {step: found.value for step, found in choice.curve.items()},
            "anchors": len(self._sampler.anchors.rows),
        }
        self._take(TableMeta.model_validate(meta))

    def _take(self, meta: TableMeta) -> None:
        """Set the learned attributes from a description."""
        self.meta_, self.recipe_, self.steps_ = meta, meta.recipe, meta.steps
        self.classes_, self.topped_up_ = dict(meta.classes), meta.topped_up
        self.schema_ = meta.table

    def _machine(self) -> Machine:
        precision: Precision = "float32" if self.precision == "auto" else self.precision
        return choose_machine(self.device, precision, self.threads or 1)

    def _fitted(self) -> Self:
        if not hasattr(self, "_sampler"):
            raise NotFittedError(
                "this TabularGAN is not fitted; call fit(data) or TabularGAN.load(folder)"
            )
        return self
