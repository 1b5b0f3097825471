"""Between a run and its checkpoints: what is saved, when, and how a run is taken up again."""

from __future__ import annotations

import math
import time

import numpy as np

from gan_augment.errors import ResumeMismatchError
from gan_augment.progress import Progress
from gan_augment.training.checkpoint import CheckpointStore
from gan_augment.training.loop import Run
from gan_augment.training.monitor import Best
from gan_augment.training.parts import TrainState, load_state, state_arrays

CHECKPOINT_EVERY_S = 60.0


class RunSaver:
    """Saves a run's state with its best generator each minute, at each score and on a stop."""

    def __init__(
        self, store: CheckpointStore | None, run: Run, data_sha256: str, force: bool
    ) -> None:
        self._store, self._run, self._force = store, run, force
        self.data_sha256 = data_sha256
        self._saved_s = time.monotonic()
        if store is not None:
            run.save = self.save
            run.checkpoint_due = self._due

    def save(self, state: TrainState, best: Best) -> None:
        """One checkpoint: the whole state, beside it the best generator, and where to go back to.

        With those a resumed run goes back to where an undisturbed one would.
        """
        if self._store is None:
            return
        arrays = state_arrays(state) | {f"best/{k}": v for k, v in best.arrays.items()}
        good = self._run.last_good
        if good and not np.array_equal(good["counters"], arrays["counters"]):
            arrays |= {f"good/{k}": v for k, v in good.items()}
        scored = {"value": best.value, "parts": dict(best.parts)} if best.arrays else None
        values = self._identity() | {"best_step": best.step, "best": scored}
        values["healthy"] = dict(self._run.watch.healthy)
        self._store.save(state.step, arrays, values, best=best.step == state.step)
        self._saved_s = time.monotonic()

    def take_up(self, progress: Progress) -> None:
        """Continue from the newest intact checkpoint; from the start if there is none.

        Raises ResumeMismatchError where data or settings are others, unless forced.
        """
        checkpoint = self._store.latest() if self._store else None
        for name, reason in (self._store.damaged if self._store else {}).items():
            progress.warn(f"checkpoint {name} is damaged ({reason}); an older one is used")
        if checkpoint is None:
            progress.note("no checkpoint yet: training starts from the first step")
            return
        saved, mine = checkpoint.meta, self._identity()
        odd = [name for name in mine if saved.get(name) != mine[name]]
        if odd and not self._force:
            raise ResumeMismatchError(
                f"this run was begun with another {' and '.join(odd)}; resumed, it would be "
                "neither. Start a new run, or give --force to go on all the same."
            )
        run, extra = self._run, ("best/", "good/")
        best, run.last_good = (
            {k[5:]: v for k, v in checkpoint.tensors.items() if k.startswith(start)}
            for start in extra
        )
        load_state(
            run.state, {k: v for k, v in checkpoint.tensors.items() if not k.startswith(extra)}
        )
        run.watch.healthy = {str(k): float(v) for k, v in saved.get("healthy", {}).items()}
        scored = saved.get("best") or {}
        run.best.value = float(scored.get("value", math.inf))
        run.best.parts = dict(scored.get("parts", {}))
        run.best.step, run.best.arrays = int(saved["best_step"]), best
        progress.note(f"resumed at step {run.state.step} of {run.steps}")

    def _due(self) -> bool:
        return time.monotonic() - self._saved_s > CHECKPOINT_EVERY_S

    def _identity(self) -> dict[str, object]:
        """What must be equal for a run to go on as it began."""
        parts = self._run.parts
        return {
            "data": self.data_sha256,
            "recipe": parts.recipe.model_dump(mode="json"),
            "seed": self._run.state.seed,
            "number of steps": self._run.steps,
            "precision": parts.machine.precision,
            "number of threads": parts.machine.threads,
        }
