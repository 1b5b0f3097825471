"""How long a fit will take, before it is made: a few steps on a throwaway state, timed."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch

from gan_augment import devices
from gan_augment.data.contract import LabelledImages, LabelledTable
from gan_augment.data.tables.inference import infer_schema
from gan_augment.data.tables.schema import TableSchema
from gan_augment.data.topup_plan import choose_classes
from gan_augment.devices import choose_machine
from gan_augment.progress import Silent
from gan_augment.recipes import resolve_recipe
from gan_augment.synthesizers.image_gan import ImageGAN
from gan_augment.synthesizers.preparing import prepare
from gan_augment.synthesizers.table_preparing import PROBE_STEPS, TRAINING_SHARE, encoded
from gan_augment.synthesizers.table_run import new_run
from gan_augment.synthesizers.table_trials import FOLDS
from gan_augment.synthesizers.tabular_gan import TabularGAN
from gan_augment.synthesizers.thresholds import selecting_s
from gan_augment.synthesizers.timing import PROBE_S, SMALLEST_RUN_STEPS, step_seconds
from gan_augment.training.build import build
from gan_augment.training.callbacks import StopFlag
from gan_augment.training.loop import one_step
from gan_augment.training.monitor import SCORES_A_RUN
from gan_augment.training.parts import new_state


@dataclass(frozen=True)
class Forecast:
    """Seconds of fits on data like this, with one thread.

    steps: of the recipe, or as asked. fixed_s: of any fit. step_s: of one more step; trials_s: of
    one more step where trials choose how much training is kept, over all their runs.
    """

    steps: int
    fixed_s: float
    step_s: float
    trials_s: float

    def seconds(self, steps: int | None = None, *, trials: bool = False) -> float:
        """Of one fit of so many steps; None is `steps`."""
        each = self.trials_s if trials else self.step_s
        return self.fixed_s + (steps or self.steps) * each

    def steps_within(self, budget_s: float) -> int:
        """How many steps a fit has time for, with its trials if it has some; at least 20."""
        return max(SMALLEST_RUN_STEPS, int((budget_s - self.fixed_s) / self.trials_s))


def forecast(gan: ImageGAN | TabularGAN, data: LabelledImages | LabelledTable) -> Forecast:
    """Time what a fit of `gan` on `data` does, without fitting it. Takes a few seconds.

    Raises what `fit` raises for settings and data that it refuses.
    """
    torch.optim.SGD([torch.zeros(1)])  # torch's first optimiser imports for a second or more
    if isinstance(gan, ImageGAN):
        assert isinstance(data, LabelledImages), "an ImageGAN is fitted on images"
        return _of_images(gan, data)
    assert isinstance(data, LabelledTable), "a TabularGAN is fitted on a table"
    return _of_table(gan, data, infer_schema(data.frame))


def _of_images(gan: ImageGAN, data: LabelledImages) -> Forecast:
    recipe = resolve_recipe(gan.recipe)
    machine = choose_machine(gan.device, gan.precision, 1)
    parts = build(recipe, data.image_shape, len(data.names), machine)
    began_s = time.monotonic()
    with devices.threads(1):
        topped_up = choose_classes(gan.classes, data.counts)
        ready = prepare(data, parts, topped_up, gan.random_state, Silent())
        prepared_s = time.monotonic() - began_s
        ready.scorer.score(new_state(parts, seed=0).average)
        score_s = time.monotonic() - began_s - prepared_s
    step_s = step_seconds(parts, ready.batches, 1, PROBE_S)
    fixed_s = prepared_s + (SCORES_A_RUN + 1) * score_s
    if gan.selection:
        fixed_s += selecting_s(len(ready.train), prepared_s)
    return Forecast(gan.steps or recipe.steps, fixed_s, step_s, step_s)


def _of_table(gan: TabularGAN, data: LabelledTable, schema: TableSchema) -> Forecast:
    recipe = resolve_recipe(gan.recipe, "table")
    began_s = time.monotonic()
    with devices.threads(1):
        table = encoded(data, schema, choose_machine(gan.device, "float32", 1), gan.random_state)
        run, _ = new_run(table, recipe, PROBE_STEPS, gan.random_state, stop=StopFlag())
        one_step(run)
        fixed_s = time.monotonic() - began_s
        for _ in range(PROBE_STEPS - 1):
            one_step(run)
    step_s = (time.monotonic() - began_s - fixed_s) / (PROBE_STEPS - 1)
    runs = (FOLDS + 1) / TRAINING_SHARE if gan.trials else 1
    return Forecast(gan.steps or recipe.steps, fixed_s, step_s, runs * step_s)
