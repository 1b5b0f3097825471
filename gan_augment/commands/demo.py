"""`demo`: fit, augment and evaluate on scikit-learn data: scanned digits, or a table of cells."""

from __future__ import annotations

import contextlib
import json
import shlex
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gan_augment.commands.augment import augment
from gan_augment.commands.evaluate import evaluate
from gan_augment.commands.fit import fit
from gan_augment.commands.writing import Result, remove_named
from gan_augment.data.images.png_folder import write_png
from gan_augment.errors import OutputExistsError
from gan_augment.evaluation.options import EvaluationOptions
from gan_augment.options import FitOptions, TopUp
from gan_augment.processes import available_cores
from gan_augment.progress import Progress
from gan_augment.rng import rng_for
from gan_augment.storage.files import clean_stale, write_file
from gan_augment.storage.lock import LOCK_FILE, hold_folder

if TYPE_CHECKING:
    from pandas import DataFrame

RARE_DIGITS = ("3", "8", "9")  # similar digits, so that 20 rows leave room for a gain
RARE_ROWS, COMMON_ROWS = 20, 100
RARE_CELLS, TARGET = "malignant", "diagnosis"
CELLS_ROWS = 40
EVALUATED_STEPS = 60  # of each of the evaluator's two generators
SIGN = "demo.json"
_TABLES = ("cells.csv", "topped-up.csv", "topped-up.csv.manifest.csv")
_FILES = ("report", "run", "digits", "topped-up", *_TABLES, SIGN)
_WIDTH = 100


@dataclass(frozen=True)
class DemoResult(Result):
    """What the demo wrote, and the verdict of the evaluator.

    data, run, topped_up, report: the data, the model, the topped-up copy, the short evaluation.
    samples: real and synthetic rows next to each other. rare: the classes that were cut.
    """

    data: Path
    run: Path
    topped_up: Path
    samples: Path
    report: Path
    rare: tuple[str, ...]
    verdict: str
    sentence: str

    def lines(self) -> list[str]:
        """Return the verdict, the paths, and what to try next."""
        table = self.data.suffix == ".csv"
        yours = (
            "your table      gan-augment augment TABLE.csv TOPPED-UP.csv --target COLUMN"
            if table
            else "your images     gan-augment augment PHOTOS TOPPED-UP   (a folder per class)"
        )
        target = f" --target {TARGET}" if table else ""
        return [
            *textwrap.wrap(self.sentence, _WIDTH, break_on_hyphens=False),
            "This was a short evaluation of short fits: a hint, not a proof. For all arms, run",
            f"  gan-augment evaluate {shlex.quote(str(self.data))}{target}",
            "",
            f"the data        {self.data}   ({', '.join(self.rare)} made rare)",
            f"the model       {self.run}",
            f"topped up       {self.topped_up}",
            f"look at it      {self.samples}",
            f"the report      {self.report / 'report.html'}",
            f"what it is      gan-augment inspect {shlex.quote(str(self.run))}",
            yours,
        ]


def demo(
    out: str | Path,
    *,
    table: bool = False,
    seconds: float = 30.0,
    steps: int | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> DemoResult:
    """Make classes of scikit-learn's data rare, top them up, and measure whether that helps.

    Writes `out`/digits (a folder per class) or /cells.csv, /run (the model), /topped-up, /report
    and /demo.json.

    Parameters
    ----------
    out
        The folder to write; it must be empty.
    table
        False cuts three classes of digits to 20 rows, True the malignant cells of a breast-cancer
        table to 40.
    seconds, steps
        Length of the training, in s or steps; of a table only steps train. The generators of the
        evaluation train for at most 60 steps on digits.
    overwrite
        Replace the files of an earlier demo, and no others.
    progress
        Shows progress and notes.

    Raises
    ------
    OutputExistsError
        If `out` is not empty.
    """
    with _held(Path(out), overwrite) as out:
        if table:
            write_file(out / "cells.csv", rare_cells().to_csv(index=False).encode())
            options = FitOptions(classes=(RARE_CELLS,), target=TARGET, steps=steps)
            how: dict[str, Any] = {"learner": "logistic", "folds": 3}
            return _run(out, "cells.csv", options, steps, progress, **how)
        for number, (image, label) in enumerate(zip(*rare_digits(), strict=True)):
            write_png(out / "digits" / label / f"digit-{number:04d}.png", image)
        options = FitOptions(classes=RARE_DIGITS, steps=steps, budget=None if steps else seconds)
        short = min(EVALUATED_STEPS, steps or EVALUATED_STEPS)
        how = {"folds": 2, "updates": short, "arms": ("oversample", "gan")}
        return _run(out, "digits", options, short, progress, **how)


def rare_digits() -> tuple[NDArray[np.uint8], list[str]]:
    """Return scikit-learn's digits, uint8 (N, 8, 8, 1), and their labels.

    At most 100 images of each digit, 20 of the rare digits.
    """
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = np.rint(digits.images * (255 / 16)).astype(np.uint8)[..., None]  # 0..16 -> 0..255
    labels = digits.target.astype(str)
    sizes = {name: RARE_ROWS if name in RARE_DIGITS else COMMON_ROWS for name in np.unique(labels)}
    rows = _cut(labels, sizes)
    return pixels[rows], labels[rows].tolist()


def rare_cells() -> DataFrame:
    """Return scikit-learn's breast-cancer table with 40 malignant and all benign cells."""
    from sklearn.datasets import load_breast_cancer

    source = load_breast_cancer(as_frame=True)
    frame: DataFrame = source.data.copy()
    frame[TARGET] = np.asarray(source.target_names)[source.target]
    rows = _cut(frame[TARGET].to_numpy(), {"benign": len(frame), RARE_CELLS: CELLS_ROWS})
    return frame.iloc[rows]


def _cut(labels: NDArray[Any], sizes: dict[str, int]) -> NDArray[np.int64]:
    """Return rows of each class, at most `sizes` = {class: n}, in the order of the data."""
    kept = [
        rng_for(0, "demo-split", str(name)).permutation(np.flatnonzero(labels == name))[:n]
        for name, n in sizes.items()
    ]
    return np.sort(np.concatenate(kept))


def _run(
    out: Path,
    data: str,
    options: FitOptions,
    steps: int | None,
    progress: Progress | None,
    *,
    arms: Sequence[str] = ("oversample", "smote", "gan"),
    **settings: Any,
) -> DemoResult:
    """Fit, augment and evaluate; steps, arms and settings are those of the evaluation."""
    topped_up = f"topped-up{Path(data).suffix}"
    fitted = fit(out / data, out / "run", options, progress=progress)
    augment(
        out / data,
        out / topped_up,
        model=fitted.run,
        top_up=TopUp(synthetic_share=0.5),  # to be looked at, whatever such a short fit advises
        options=options,
        progress=progress,
    )
    quick = {"steps": steps, "budget": None, "selection": False}
    small = EvaluationOptions(
        fit=options.model_copy(update=quick),
        repeats=1,
        diagnostics=False,
        n_jobs=min(2, available_cores()),
        arms=arms,
        **settings,
    )
    measured = evaluate(out / data, out / "report", small, force=True, progress=progress)
    result = DemoResult(
        data=out / data,
        run=fitted.run,
        topped_up=out / topped_up,
        samples=fitted.samples,
        report=measured.out,
        rare=tuple(options.classes),
        verdict=measured.verdict,
        sentence=measured.evaluation.sentence,
    )
    write_file(out / SIGN, (json.dumps(result.to_dict(), indent=1) + "\n").encode())
    return result


@contextlib.contextmanager
def _held(out: Path, overwrite: bool) -> Iterator[Path]:
    """Hold an empty folder; with `overwrite`, remove the files of an earlier demo first."""
    with hold_folder(out):
        clean_stale(out, {SIGN})
        ours = overwrite and (out / SIGN).is_file()
        if not ours and any(entry.name != LOCK_FILE for entry in out.iterdir()):
            raise OutputExistsError(
                f"{str(out)!r} is not empty; name a new folder, or with --overwrite the folder of "
                "an earlier demo."
            )
        remove_named(out, _FILES)
        write_file(out / SIGN, b"{}\n")
        yield out
