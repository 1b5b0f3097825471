"""Checkpoints of a run: numbered files, verified when read, the last two kept.

`CheckpointStore` handles arrays and JSON-ready values, `RunSaver` the state of a run.
"""

from __future__ import annotations

import contextlib
import math
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from gan_augment.errors import ModelFileError, ResumeMismatchError, UsageError
from gan_augment.progress import Progress
from gan_augment.recipes import Recipe
from gan_augment.settings import Frozen
from gan_augment.storage.bundle import load_bundle, save_bundle
from gan_augment.storage.files import clean_stale, write_errors
from gan_augment.training.loop import Run
from gan_augment.training.monitor import Best
from gan_augment.training.parts import Arrays, TrainState, below, load_state, row_unit, state_arrays

KEPT = 2
CHECKPOINT_EVERY_S = 60.0
_FILE = re.compile(r"step-(?P<step>[0-9]{1,15})\.safetensors")


class CheckpointMeta(Frozen):
    """The JSON of a checkpoint. step: generator steps done."""

    format: Literal["gan-augment checkpoint"] = "gan-augment checkpoint"
    version: Literal[2] = 2
    step: int = Field(ge=0)
    state: dict[str, Any]


class Checkpoint(NamedTuple):
    """One verified checkpoint: arrays by name, and the values saved with them."""

    step: int
    tensors: Arrays
    meta: dict[str, Any]


class CheckpointStore:
    """The checkpoints below one folder: `step-<n>.safetensors`, each whole or absent.

    `damaged` holds {file name: reason} of those that `latest` found unusable. One process at a time
    may use a store (`hold_folder` of the run's folder).

    >>> import tempfile
    >>> import numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = CheckpointStore(Path(folder))
    ...     store.save(10, {"weight": np.zeros(3)}, {"seed": 0})
    ...     store.latest().step
    10
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self.damaged: dict[str, str] = {}

    def save(self, step: int, tensors: Mapping[str, NDArray[Any]], meta: Mapping[str, Any]) -> None:
        """Write the checkpoint of `step`, then remove all but it and the one before.

        Those of higher steps are damaged, or a rollback undid them. Raises WriteFailedError if the
        disk refuses; older checkpoints are kept then.
        """
        with write_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        clean_stale(self.folder)
        save_bundle(self._path(step), tensors, CheckpointMeta(step=step, state=dict(meta)))
        kept = [one for one in self._steps() if one <= step][:KEPT]
        with write_errors(self.folder):
            for one in set(self._steps()) - set(kept):
                self._path(one).unlink()

    def latest(self) -> Checkpoint | None:
        """Return the newest intact checkpoint, or None; unusable ones are added to `damaged`."""
        for step in self._steps():
            try:
                tensors, meta = load_bundle(self._path(step), schema=CheckpointMeta)
                return Checkpoint(meta.step, tensors, meta.state)
            except ModelFileError as error:
                self.damaged[self._path(step).name] = str(error)
        return None

    @property
    def newest_step(self) -> int | None:
        """Return the highest step with a checkpoint, not verified."""
        return max(self._steps(), default=None)

    def _steps(self) -> list[int]:
        """Return the steps of the files, highest first."""
        names = [entry.name for entry in self.folder.iterdir()] if self.folder.is_dir() else []
        matches = map(_FILE.fullmatch, names)
        return sorted((int(match["step"]) for match in matches if match), reverse=True)

    def _path(self, step: int) -> Path:
        return self.folder / f"step-{step}.safetensors"


class RunSaver:
    """Saves a run's state and its best generator every minute, at each score and on a stop."""

    def __init__(self, store: CheckpointStore, run: Run, data_sha256: str) -> None:
        self._store, self._run, parts = store, run, run.parts
        self._saved_s = time.monotonic()
        self._identity = {  # what a resumed run must share with its start
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
        self._store.save(state.step, arrays, values | self._identity)
        self._saved_s = time.monotonic()

    def resume(self, progress: Progress) -> None:
        """Continue from the newest intact checkpoint, or from the start if there is none.

        Raises ResumeMismatchError for other data or settings.
        """
        checkpoint = self._store.latest()
        for name, reason in self._store.damaged.items():
            progress.warn(f"checkpoint {name} is damaged ({reason}); an older one is used")
        if checkpoint is None:
            progress.note("no checkpoint yet: training starts from the first step")
            return
        saved = checkpoint.meta
        with contextlib.suppress(UsageError):  # settings that an older version did not know
            recipe = Recipe.checked(saved["recipe"], "the checkpoint")
            saved["recipe"] = recipe.model_dump(mode="json")
        odd = [name for name, value in self._identity.items() if saved.get(name) != value]
        if odd:
            raise ResumeMismatchError(
                f"this run was begun with another {' and '.join(odd)}; start a new run"
            )
        _take_up(self._run, checkpoint.tensors, saved)
        progress.note(f"resumed at step {self._run.state.step} of {self._run.steps}")


def _progress(run: Run) -> tuple[Arrays, dict[str, Any]]:
    """Return the progress of a run: its state, its best generator, the state of a rollback."""
    best, good = run.best, run.last_good
    arrays = state_arrays(run.state) | {f"best/{k}": v for k, v in best.arrays.items()}
    if good and not np.array_equal(good["counters"], arrays["counters"]):
        arrays |= {f"good/{k}": v for k, v in good.items()}
    scored = {"value": best.value, "parts": dict(best.parts)} if best.arrays else None
    healthy = dict(run.watch.healthy)
    return arrays, {"best_step": best.step, "best": scored, "healthy": healthy}


def _take_up(run: Run, tensors: Arrays, saved: Mapping[str, Any]) -> None:
    """Restore the progress that `_progress` returned."""
    load_state(run.state, tensors)
    run.last_good, run.watch.healthy = below(tensors, "good"), dict(saved["healthy"])
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
