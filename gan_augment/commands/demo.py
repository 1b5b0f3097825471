"""`demo`: fit, augment and evaluate on scikit-learn data: scanned digits, or a table of cells."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gan_augment.commands.augment import augment
from gan_augment.commands.evaluate import evaluate
from gan_augment.commands.fit import fit
from gan_augment.commands.writing import Result
from gan_augment.data.images.png_folder import write_png
from gan_augment.errors import OutputExistsError
from gan_augment.evaluation.options import EvaluationOptions
from gan_augment.options import FitOptions, TopUp
from gan_augment.processes import available_cores
from gan_augment.progress import Progress
from gan_augment.rng import rng_for
from gan_augment.storage.files import write_file
from gan_augment.storage.lock import LOCK_FILE, hold_folder

if TYPE_CHECKING:
    from pandas import DataFrame

RARE_DIGITS = ("3", "8", "9")  # similar digits, so that 10 rows leave room for a gain
RARE_ROWS, COMMON_ROWS = 10, 100
RARE_CELLS, TARGET = "malignant", "diagnosis"
CELLS_ROWS, BENIGN_ROWS = 20, 180
STEPS, SEEDS, UPDATES = 2000, 5, 300
"""On digits: steps of the generator; how often the classifier is trained, with how many updates."""
ARMS = ("class_weight", "oversample", "smote", "balanced_softmax", "mixup", "cmo", "gan")


class DemoResult(Result):
    """What the demo wrote, and what the evaluator recommends.

    data, run, topped_up, report: the data, the model, the topped-up copy, the evaluation.
    samples: real, synthetic and refused rows. rare: the classes that were cut.
    """

    data: Path
    run: Path
    topped_up: Path
    samples: Path
    report: Path
    rare: tuple[str, ...]
    recommendation: str
    verdict: str
    sentence: str

    def lines(self) -> list[str]:
        """Return the paths, the recommendation and the verdict, and what to look at."""
        table = self.data.suffix == ".csv"
        shown = "real and generated rows" if table else "real, generated and refused images"
        yours = "TABLE.csv --target COLUMN" if table else "PHOTOS   (a folder per class)"
        return [
            f"the data    {self.data}   ({', '.join(self.rare)} made rare; tested on other rows)",
            f"the model   {self.run}",
            f"topped up   {self.topped_up}",
            "",
            *textwrap.wrap(self.recommendation, 100, break_on_hyphens=False),
            *textwrap.wrap(self.sentence, 100, break_on_hyphens=False),
            "",
            f"{shown}: {self.samples}",
            f"what each remedy gains and costs: {self.report / 'report.html'}",
            f"the same for your data: gan-augment evaluate {yours}",
        ]


def demo(
    out: str | Path,
    *,
    table: bool = False,
    seconds: float | None = None,
    steps: int | None = None,
    progress: Progress | None = None,
) -> DemoResult:
    """Make classes of scikit-learn's data rare, top them up, and measure what helps.

    Writes `out`/digits (train and test, a folder per class) or /cells.csv and /cells-test.csv,
    /run (the model), /topped-up and /report.

    - out: The folder to write; it must be empty.
    - table: False cuts three classes of digits to 10 rows, True the malignant cells of a
      breast-cancer table to 20. The classifier is tested on the rows that are left.
    - seconds, steps: Length of the training, in s or steps; on digits 2,000 steps by default.
      The generator of the evaluation trains for as many steps. A table takes steps only.
    - progress: Shows progress and notes.

    Raises OutputExistsError (if `out` is not empty).
    """
    out = Path(out)
    with hold_folder(out):
        if any(entry.name != LOCK_FILE for entry in out.iterdir()):
            raise OutputExistsError(f"{str(out)!r} is not empty; name a new folder for the demo.")
        if table:
            for name, frame in zip(("cells.csv", "cells-test.csv"), rare_cells(), strict=True):
                write_file(out / name, frame.to_csv(index=False).encode())
            options = FitOptions(classes=(RARE_CELLS,), target=TARGET, steps=steps)
            judged = EvaluationOptions(learner="logistic")
            return _run(out, "cells.csv", out / "cells-test.csv", options, judged, progress)
        for part, (pixels, labels) in zip(("train", "test"), rare_digits(), strict=True):
            for number, (image, label) in enumerate(zip(pixels, labels, strict=True)):
                write_png(out / "digits" / part / label / f"digit-{number:04d}.png", image)
        steps = steps or (None if seconds else STEPS)
        options = FitOptions(classes=RARE_DIGITS, steps=steps, budget=None if steps else seconds)
        judged = EvaluationOptions(repeats=SEEDS, updates=min(UPDATES, steps or UPDATES), arms=ARMS)
        return _run(out, "digits", None, options, judged, progress)


def rare_digits() -> tuple[tuple[NDArray[np.uint8], list[str]], ...]:
    """Return scikit-learn's digits, uint8 (N, 8, 8, 1), and labels: to train on, and the others."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = np.rint(digits.images * (255 / 16)).astype(np.uint8)[..., None]  # 0..16 -> 0..255
    labels = digits.target.astype(str)
    sizes = {name: RARE_ROWS if name in RARE_DIGITS else COMMON_ROWS for name in np.unique(labels)}
    return tuple((pixels[rows], labels[rows].tolist()) for rows in _cut(labels, sizes))


def rare_cells() -> tuple[DataFrame, ...]:
    """Return scikit-learn's breast-cancer table: 20 malignant and 180 benign cells, the others."""
    from sklearn.datasets import load_breast_cancer

    source = load_breast_cancer(as_frame=True)
    frame: DataFrame = source.data.copy()
    frame[TARGET] = np.asarray(source.target_names)[source.target]
    sizes = {"benign": BENIGN_ROWS, RARE_CELLS: CELLS_ROWS}
    return tuple(frame.iloc[rows] for rows in _cut(frame[TARGET].to_numpy(), sizes))


def _cut(labels: NDArray[Any], sizes: dict[str, int]) -> tuple[NDArray[np.int64], ...]:
    """Return rows of each class, at most `sizes` = {class: n}, and all others, both ascending."""
    kept = [
        rng_for(0, "demo-split", str(name)).permutation(np.flatnonzero(labels == name))[:n]
        for name, n in sizes.items()
    ]
    rows = np.sort(np.concatenate(kept))
    return rows, np.setdiff1d(np.arange(len(labels)), rows)


def _run(
    out: Path,
    data: str,
    test: Path | None,
    options: FitOptions,
    judged: EvaluationOptions,
    progress: Progress | None,
) -> DemoResult:
    """Fit, augment and evaluate; test: the test rows, None for a part of the data's folder."""
    topped_up = out / f"topped-up{Path(data).suffix}"
    fitted = fit(out / data, out / "run", options, progress=progress)
    augment(
        out / data,
        topped_up,
        model=fitted.run,
        top_up=TopUp(synthetic_share=0.5),  # to be looked at, whatever such a short fit advises
        options=options,
        progress=progress,
    )
    as_long = options.model_copy(update={"steps": fitted.steps or None, "budget": None})
    judged = judged.model_copy(update={"fit": as_long, "n_jobs": min(2, available_cores())})
    measured = evaluate(out / data, out / "report", judged, test=test, progress=progress)
    return DemoResult(
        data=out / data,
        run=fitted.run,
        topped_up=topped_up,
        samples=fitted.samples,
        report=measured.out,
        rare=tuple(options.classes),
        recommendation=measured.evaluation.recommendation,
        verdict=measured.verdict,
        sentence=measured.evaluation.sentence,
        following=measured.following,
    )
