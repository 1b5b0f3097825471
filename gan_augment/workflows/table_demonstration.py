"""`demo --table`: the main job on a breast-cancer table made imbalanced, then measured.

The same path as anyone's CSV file for the first draw; the others repeat the comparison on other
rows. What the comparison prints is in `comparison.py`.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gan_augment.config import FitOptions, TopUp
from gan_augment.data.contract import LabelledTable
from gan_augment.data.tables.columns import joined
from gan_augment.data.tables.reader import ReadTable, read_frame, read_table
from gan_augment.data.topup_plan import plan_topup
from gan_augment.progress import Progress, Silent
from gan_augment.randomness import generator
from gan_augment.storage import write_file
from gan_augment.synthesizers.baselines import Repeats, Smote
from gan_augment.synthesizers.tabular_gan import TabularGAN
from gan_augment.workflows.augmenting import augment
from gan_augment.workflows.comparison import Arm, Scores, score, table, verdict
from gan_augment.workflows.demo_verdicts import closing_lines
from gan_augment.workflows.demonstration import make_room
from gan_augment.workflows.fitting import fit

if TYPE_CHECKING:
    from pandas import DataFrame

RARE = "malignant"
RARE_ROWS = 25
TRAIN_SHARE = 0.6
TARGET = "diagnosis"
ARMS = ("real only", "repeats", "SMOTE", "repeats + synthetic")
OWN = ("cells.csv", "test.csv", "run", "topped-up.csv", "topped-up.csv.manifest.csv", "demo.json")


@dataclass(frozen=True)
class TableDemoResult:
    """What the demo wrote and measured.

    data, run, topped_up: the first draw's table, model and filled table. arms: one a training set,
    with the scores of a random forest a draw. chosen: which generator each draw kept.
    """

    data: Path
    run: Path
    topped_up: Path
    arms: tuple[Arm, ...]
    chosen: tuple[str, ...]
    test_rows: int

    @property
    def sentence(self) -> str:
        """What the comparison says, in sentences made from its numbers."""
        ours = self.arms[3]
        return f"{verdict(ours, self.arms[1])}\n{verdict(ours, self.arms[2])}"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        plain = {k: str(v) if isinstance(v, Path) else v for k, v in asdict(self).items()}
        return {**plain, "rare": [RARE], "sentence": self.sentence}

    def lines(self) -> list[str]:
        """The table, what it says, where things are, what to try next."""
        draws = len(self.chosen)
        return [
            f"Percent of {self.test_rows} real rows that no training saw, random forest; mean ± "
            f"standard deviation over {draws} draws; * cut to {RARE_ROWS} rows.",
            *table(self.arms, (RARE,)),
            "",
            *self.sentence.splitlines(),
            f"{draws} draws of one table: a hint, no proof. Kept: {', '.join(self.chosen)}.",
            "",
            f"the table       {self.data}",
            f"the model       {self.run}",
            f"topped up       {self.topped_up}",
            f"what it is      gan-augment inspect {shlex.quote(str(self.run))}",
            "your table      gan-augment augment TABLE.csv TOPPED-UP.csv --target COLUMN",
            "",
            *closing_lines("cells", self.data),
        ]


def demo_table(
    out: str | Path,
    *,
    steps: int | None = None,
    seeds: int = 5,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> TableDemoResult:
    """Cut the malignant cells to 25 rows, top them up, and measure whether that helped.

    Writes `out`/cells.csv, /run (the model), /topped-up.csv and /demo.json for the first draw, and
    repeats the comparison on `seeds` draws of training and test rows. Raises OutputExistsError
    where `out` holds something; `overwrite` replaces what an earlier demo wrote, and nothing else.
    """
    out, progress = Path(out), progress or Silent()
    make_room(out, overwrite, OWN)
    frame = breast_cancer()
    scores: dict[str, list[Scores]] = {name: [] for name in ARMS}
    rows: dict[str, int] = {}
    chosen = []
    for seed in range(seeds):
        train, test = (frame.iloc[part] for part in cut(frame, seed))
        if seed == 0:
            chosen.append(_by_files(out, train, test, steps, progress))
            topped_up = read_table(out / "topped-up.csv", TARGET)
        else:
            read = read_frame(train, TARGET)
            gan = TabularGAN(steps=steps, random_state=seed, classes=(RARE,))
            gan.fit(read.table, schema=read.schema, progress=progress)
            chosen.append(gan.meta_.chosen)
            topped_up = with_synthetic(read, gan)
        sets = _sets(read_frame(train, TARGET), topped_up, seed)
        judged = read_frame(test, TARGET).table
        for name, data in sets.items():
            rows[name] = len(data)
            scores[name].append(score(_forest(data, judged, seed), judged, (RARE,)))
    arms = tuple(Arm(name, rows[name], tuple(scores[name])) for name in ARMS)
    result = TableDemoResult(
        data=out / "cells.csv",
        run=out / "run",
        topped_up=out / "topped-up.csv",
        arms=arms,
        chosen=tuple(chosen),
        test_rows=len(judged),
    )
    write_file(out / "demo.json", (json.dumps(result.to_dict(), indent=1) + "\n").encode())
    return result


def breast_cancer() -> DataFrame:
    """scikit-learn's breast-cancer table: 569 rows of 30 measured numbers, and the diagnosis."""
    from sklearn.datasets import load_breast_cancer

    found = load_breast_cancer(as_frame=True)
    frame: DataFrame = found.data.copy()
    frame[TARGET] = np.asarray(found.target_names)[found.target]
    return frame


def cut(frame: DataFrame, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(training rows, untouched test rows), 60 to 40 in each class; malignant cut to 25."""
    train, test = [], []
    labels = frame[TARGET].to_numpy()
    for name in ("benign", RARE):
        rows = generator(seed, "demo-split", name).permutation(np.flatnonzero(labels == name))
        kept = round(TRAIN_SHARE * len(rows))
        train.append(rows[: RARE_ROWS if name == RARE else kept])
        test.append(rows[kept:])
    return np.sort(np.concatenate(train)), np.sort(np.concatenate(test))


def with_synthetic(read: ReadTable, gan: TabularGAN) -> ReadTable:
    """The rows, topped up in memory as `augment` does it in files."""
    import pandas as pd

    data = read.table
    plan = plan_topup(data.counts, TopUp(), (RARE,), "table")[RARE]
    made = gan.sample({RARE: plan.synthetic})
    again = Repeats[LabelledTable]().fit(data).sample({RARE: plan.repeats})
    parts = [joined(part.frame, part.labels, read.schema) for part in (data, again, made)]
    return read_frame(pd.concat(parts, ignore_index=True), TARGET)


def _by_files(
    out: Path, train: DataFrame, test: DataFrame, steps: int | None, progress: Progress
) -> str:
    """The first draw as a user would do it; which generator was kept."""
    for name, rows in (("cells.csv", train), ("test.csv", test)):
        write_file(out / name, rows.to_csv(index=False).encode())
    options = FitOptions(classes=(RARE,), target=TARGET, steps=steps)
    fitted = fit(out / "cells.csv", out / "run", options, progress=progress)
    augment(
        out / "cells.csv",
        out / "topped-up.csv",
        model=fitted.run,
        options=options,
        progress=progress,
    )
    return fitted.chosen


def _sets(real: ReadTable, topped_up: ReadTable, seed: int) -> dict[str, LabelledTable]:
    """The training set of each arm; SMOTE as imbalanced-learn has it, all to parity."""
    import pandas as pd

    data = real.table
    added = {RARE: max(data.counts.values()) - data.counts[RARE]}
    sets = {"real only": data, "repeats + synthetic": topped_up.table}
    for name, filler in (("repeats", Repeats[LabelledTable]()), ("SMOTE", Smote[LabelledTable]())):
        new = filler.fit(data).sample(added, random_state=seed)
        sets[name] = LabelledTable(
            frame=pd.concat([data.frame, new.frame], ignore_index=True),
            labels=np.concatenate([data.labels, new.labels]),
            ids=np.concatenate([data.ids, new.ids]),
            class_names=data.names,
        )
    return sets


def _forest(data: LabelledTable, test: LabelledTable, seed: int) -> NDArray[np.int64]:
    """Labels (N,) that a random forest trained on `data` gives the test rows; names agree."""
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(200, random_state=seed, n_jobs=1)
    forest.fit(data.frame.to_numpy(dtype=np.float64), np.array(data.names)[data.labels])
    called = forest.predict(test.frame.to_numpy(dtype=np.float64))
    return np.array([test.names.index(name) for name in called], dtype=np.int64)
