"""The checkpoint of a run: one file with the whole state, replaced at each save."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from gan_augment.errors import ResumeMismatchError
from gan_augment.progress import Progress
from gan_augment.settings import Frozen
from gan_augment.storage.bundle import load_bundle, load_meta, save_bundle
from gan_augment.training.loop import Run
from gan_augment.training.monitor import Best
from gan_augment.training.parts import Arrays, TrainState, below, load_state, row_unit, state_arrays

CHECKPOINT_EVERY_S = 60.0


class CheckpointMeta(Frozen):
    """The JSON of a checkpoint.

    step: generator steps done. progress: values of `_progress`. identity: what a resumed run must
    share with its start.
    """

    format: Literal["gan-augment checkpoint"] = "gan-augment checkpoint"
    version: Literal[3] = 3
    step: int = Field(ge=0)
    progress: dict[str, Any]
    identity: dict[str, Any]


def saved_step(path: Path) -> int | None:
    """Return the steps done at the checkpoint of a run, or None without one."""
    return load_meta(path, schema=CheckpointMeta).step if path.exists() else None


class RunSaver:
    """Saves a run's state and its best generator every minute, at each score and on a stop."""

    def __init__(self, path: Path, run: Run, data_sha256: str) -> None:
        self._path, self._run, parts = path, run, run.parts
        self._saved_s = time.monotonic()
        self._identity = {
            "data": data_sha256,
            "recipe": parts.recipe.model_dump(mode="json"),
            "seed": run.state.seed,
            "number of steps": run.steps,
            "precision": parts.compute.precision,
            "number of threads": parts.compute.threads,
        }
        run.save = self.save
        run.checkpoint_due = lambda: time.monotonic() - self._saved_s > CHECKPOINT_EVERY_S

    def save(self, state: TrainState, best: Best) -> None:
        """Save the state, the best generator, and the state that a rollback returns to."""
        arrays, values = _progress(self._run)
        meta = CheckpointMeta(step=state.step, progress=values, identity=self._identity)
        save_bundle(self._path, arrays, meta)
        self._saved_s = time.monotonic()

    def resume(self, progress: Progress) -> None:
        """Continue from the checkpoint, or from the start if there is none."""
        if not self._path.exists():
            progress.note("no checkpoint yet: training starts from the first step")
            return
        arrays, saved = load_bundle(self._path, schema=CheckpointMeta)
        odd = [name for name, value in self._identity.items() if saved.identity.get(name) != value]
        if odd:
            raise ResumeMismatchError(
                f"this run was begun with another {' and '.join(odd)}; start a new run"
            )
        _take_up(self._run, arrays, saved.progress)
        progress.note(f"resumed at step {self._run.state.step} of {self._run.steps}")


def _progress(run: Run) -> tuple[Arrays, dict[str, Any]]:
    """Return the progress of a run: its state, its best generator, the state of a rollback."""
    best, good = run.best, run.last_good
    arrays = state_arrays(run.state) | {f"best/{k}": v for k, v in best.arrays.items()}
    if good and not np.array_equal(good["counters"], arrays["counters"]):
        arrays |= {f"good/{k}": v for k, v in good.items()}
    scored = {"value": best.value, "parts": dict(best.parts)} if best.arrays else None
    healthy = dict(run.healthy)
    return arrays, {"best_step": best.step, "best": scored, "healthy": healthy}


def _take_up(run: Run, tensors: Arrays, saved: Mapping[str, Any]) -> None:
    load_state(run.state, tensors)
    run.last_good, run.healthy = below(tensors, "good"), dict(saved["healthy"])
    scored = saved["best"] or {"value": math.inf, "parts": {}}
    run.best = Best(**scored, step=saved["best_step"], arrays=below(tensors, "best"))


def join_ranks(run: Run) -> None:
    """Begin a run on all ranks from rank 0's state, with different rows and noise."""
    if run.world.size == 1:
        return
    arrays, values = run.world.first(lambda: _progress(run))
    _take_up(run, arrays, values)
    recipe = run.parts.recipe
    run.state.rank = run.world.rank
    run.batches = run.batches.part(run.world.rows(recipe.batch, row_unit(recipe)))
