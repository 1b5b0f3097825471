"""CTGAN 0.12.1 with its own defaults, inside an environment of its own (`make_environment.sh`).

    python ctgan_fit.py rows JOB.json     rows of each class, by a fit on each class alone or by
                                          one fit on all rows and rejection
    python ctgan_fit.py time JOB.json     10 epochs timed, 300 scaled from them

JOB.json, written by `against_ctgan.py` and `table_speed.py`, names a Parquet file without missing
cells, its discrete columns, and where results go. One thread. Knows nothing of gan-augment.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import ctgan
import numpy as np
import pandas as pd
import torch
from ctgan import CTGAN

TIMED_EPOCHS, DEFAULT_EPOCHS = 10, 300


def new_model(seed: int, epochs: int) -> CTGAN:
    """CTGAN as it comes, on the processor, with a seed."""
    model = CTGAN(epochs=epochs, enable_gpu=False)
    model.set_random_state(seed)
    return model


def minority_rows(frame: pd.DataFrame, job: dict) -> tuple[pd.DataFrame, dict]:
    """For each class asked, a fit on its rows alone (without the target), then its sample."""
    parts, facts = [], {"fit_s": 0.0, "sample_s": 0.0}
    for name, n in job["counts"].items():
        rows = frame[frame[job["target"]] == name].drop(columns=job["target"])
        discrete = [c for c in job["discrete"] if c != job["target"]]
        began_s = time.perf_counter()
        model = new_model(job["seed"], job["epochs"])
        model.fit(rows.reset_index(drop=True), discrete)
        fitted_s = time.perf_counter()
        made = model.sample(n)
        facts["fit_s"] += fitted_s - began_s
        facts["sample_s"] += time.perf_counter() - fitted_s
        parts.append(made.assign(**{job["target"]: name}))
    return pd.concat(parts, ignore_index=True), facts


def rejection_rows(frame: pd.DataFrame, job: dict) -> tuple[pd.DataFrame, dict]:
    """One fit on all rows; of rows drawn under the condition of a class, those that have it.

    At most `tries` rows are drawn for each row asked; what is short then is filled with repeats of
    the accepted rows, and counted. A class of which nothing was accepted is an error.
    """
    began_s = time.perf_counter()
    model = new_model(job["seed"], job["epochs"])
    model.fit(frame, job["discrete"])
    fitted_s = time.perf_counter()
    parts, facts = [], {"fit_s": fitted_s - began_s, "drawn": {}, "accepted": {}, "short": {}}
    for name, n in job["counts"].items():
        kept, drawn = frame.iloc[:0], 0
        while len(kept) < n and drawn < n * job["tries"]:
            block = max(1000, min(n, 20_000))
            made = model.sample(block, job["target"], name)
            kept = pd.concat([kept, made[made[job["target"]] == name]], ignore_index=True)
            drawn += block
        facts["drawn"][name], facts["accepted"][name] = drawn, len(kept)
        if kept.empty:
            raise SystemExit(f"{drawn} rows were drawn, none of them of class {name!r}")
        if len(kept) < n:
            facts["short"][name] = n - len(kept)
            again = np.random.default_rng(job["seed"]).integers(0, len(kept), n - len(kept))
            kept = pd.concat([kept, kept.iloc[again]], ignore_index=True)
        parts.append(kept[:n])
    facts["sample_s"] = time.perf_counter() - fitted_s
    return pd.concat(parts, ignore_index=True), facts


def timed(frame: pd.DataFrame, job: dict) -> dict:
    """Seconds before the first epoch, the median epoch's, and of 300: set-up + 300 x epoch."""
    marks: list[float] = []

    class Epochs:
        """Stands where the progress bar of `CTGAN.fit` does, and notes when each epoch begins."""

        def __init__(self, epochs: range, **_: object) -> None:
            self.epochs = epochs

        def __iter__(self) -> Iterator[int]:
            for epoch in self.epochs:
                marks.append(time.perf_counter())
                yield epoch
            marks.append(time.perf_counter())

    with mock.patch.object(ctgan.synthesizers.ctgan, "tqdm", Epochs):
        began_s = time.perf_counter()
        new_model(job["seed"], TIMED_EPOCHS).fit(frame, job["discrete"])
    set_up_s, epoch_s = marks[0] - began_s, float(np.median(np.diff(marks)))
    return {
        "rows": len(frame),
        "set_up_s": round(set_up_s, 2),
        "epoch_s": round(epoch_s, 3),
        "fit_of_300_epochs_s": round(set_up_s + DEFAULT_EPOCHS * epoch_s, 1),
    }


def main() -> None:
    """Do the job; its result lies where the job says."""
    mode, path = sys.argv[1:]
    job = json.loads(Path(path).read_text(encoding="utf-8"))
    torch.set_num_threads(1)
    frame = pd.read_parquet(job["frame"])
    if mode == "time":
        facts = timed(frame, job)
    else:
        ways = {"minority": minority_rows, "rejection": rejection_rows}
        rows, facts = ways[job["way"]](frame, job)
        rows.to_parquet(job["rows"])
    Path(job["facts"]).write_text(json.dumps(facts), encoding="utf-8")


if __name__ == "__main__":
    main()
