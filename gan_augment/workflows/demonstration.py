"""`demo`: the main job on scikit-learn's digits by the same path as anyone's folder, then measured.

Start at `demo`. The comparison itself lives in `comparison.py`.
"""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gan_augment.config import FitOptions, TopUp
from gan_augment.data.contract import LabelledImages
from gan_augment.data.images.png_folder import write_png
from gan_augment.data.images.reader import read_images
from gan_augment.data.topup_plan import plan_topup
from gan_augment.errors import OutputExistsError
from gan_augment.progress import Progress, Silent
from gan_augment.randomness import generator
from gan_augment.storage import write_errors, write_file
from gan_augment.workflows.augmenting import augment
from gan_augment.workflows.comparison import Arm, compare, table, verdict
from gan_augment.workflows.demo_verdicts import closing_lines
from gan_augment.workflows.fitting import fit

RARE = ("3", "8", "9")  # alike, so that 20 rows leave something to gain
RARE_ROWS = 20
TRAIN_SHARE = 0.6
ARMS = ("real only", "repeats", "repeats + synthetic")
_OWN = ("digits", "run", "topped-up", "demo.json")


@dataclass(frozen=True)
class DemoResult:
    """What the demo wrote and measured.

    data, run, topped_up, samples: where the digits, the model, the filled folder and the picture
    of reals beside synthetics are. arms: one a training set. steps: of the GAN.
    classifier_steps: updates of every classifier. test_rows: untouched real images.
    """

    data: Path
    run: Path
    topped_up: Path
    samples: Path
    arms: tuple[Arm, ...]
    steps: int
    classifier_steps: int
    test_rows: int

    @property
    def sentence(self) -> str:
        """What the comparison says, in one sentence made from its numbers."""
        return verdict(self.arms[2], self.arms[1])

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        plain = {k: str(v) if isinstance(v, Path) else v for k, v in asdict(self).items()}
        return {**plain, "rare": list(RARE), "sentence": self.sentence}

    def lines(self) -> list[str]:
        """The table, what it says, where things are, what to try next."""
        seeds = len(self.arms[0].scores)
        plural = f"{seeds} seed" if seeds == 1 else f"{seeds} seeds"
        return [
            f"Percent of {self.test_rows} real digits that no training saw; mean ± standard "
            f"deviation over {plural}; * cut to {RARE_ROWS} rows.",
            *table(self.arms, RARE),
            "",
            self.sentence,
            f"One split, one model of {self.steps} steps, {self.classifier_steps} updates a "
            "classifier; the seeds vary the classifier only: a hint, no proof.",
            "",
            f"the digits      {self.data}",
            f"the model       {self.run}",
            f"topped up       {self.topped_up}",
            f"look at it      {self.samples}",
            f"what it is      gan-augment inspect {shlex.quote(str(self.run))}",
            "your images     gan-augment augment PHOTOS TOPPED-UP   (a folder per class)",
            "",
            *closing_lines("digits", self.data),
        ]


def demo(
    out: str | Path,
    *,
    seconds: float = 90.0,
    steps: int | None = None,
    seeds: int = 3,
    classifier_steps: int = 300,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> DemoResult:
    """Cut three classes of digits to 20 rows, top them up, and measure whether that helped.

    Writes `out`/digits (a folder per class), /run (the model), /topped-up and /demo.json. The GAN
    trains for `steps`, or for `seconds`. Raises OutputExistsError where `out` holds something;
    `overwrite` replaces what an earlier demo wrote, and nothing else.
    """
    out, progress = Path(out), progress or Silent()
    make_room(out, overwrite, _OWN)
    train, test = cut_digits()
    write_file(out / "demo.json", b"{}\n")
    write_folder(out / "digits", train)
    budget = None if steps else seconds
    options = FitOptions(classes=RARE, steps=steps, budget_s=budget, seed=0)
    fitted = fit(out / "digits", out / "run", options, progress=progress)
    augment(out / "digits", out / "topped-up", model=fitted.run, progress=progress)
    topped_up = read_images(out / "topped-up", progress=progress).data
    sets = dict(zip(ARMS, (train, with_repeats(train), topped_up), strict=True))
    arms = compare(sets, test, RARE, seeds=seeds, steps=classifier_steps, progress=progress)
    result = DemoResult(
        data=out / "digits",
        run=fitted.run,
        topped_up=out / "topped-up",
        samples=fitted.run / "samples.png",
        arms=arms,
        steps=fitted.steps,
        classifier_steps=classifier_steps,
        test_rows=len(test),
    )
    write_file(out / "demo.json", (json.dumps(result.to_dict(), indent=1) + "\n").encode())
    return result


def cut_digits() -> tuple[LabelledImages, LabelledImages]:
    """scikit-learn's digits (8 x 8 px, real scans) as (training rows, untouched test rows).

    A fixed split, 60 to 40 in every class; the training rows of the rare classes are cut to 20.
    """
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = np.rint(digits.images * (255 / 16)).astype(np.uint8)[..., None]  # 0..16 -> 0..255
    labels = digits.target.astype(np.int64)
    names = tuple(str(label) for label in range(10))
    ids = np.array([f"digit-{row:04d}" for row in range(len(labels))])
    data = LabelledImages(pixels, labels, ids, class_names=names)
    train: list[NDArray[np.int64]] = []
    test: list[NDArray[np.int64]] = []
    for label, name in enumerate(names):
        rows = generator(0, "demo-split", name).permutation(np.flatnonzero(labels == label))
        kept = round(TRAIN_SHARE * len(rows))
        train.append(rows[: RARE_ROWS if name in RARE else kept])
        test.append(rows[kept:])
    return data.take(np.sort(np.concatenate(train))), data.take(np.sort(np.concatenate(test)))


def write_folder(folder: Path, data: LabelledImages) -> None:
    """The images as `folder`/<class>/<id>.png."""
    for pixels, label, name in zip(data.pixels, data.labels, data.ids, strict=True):
        write_png(folder / data.names[label] / f"{name}.png", pixels)


def with_repeats(data: LabelledImages) -> LabelledImages:
    """The rows, and repeats of the rare ones until their classes are as large as the largest."""
    plan = plan_topup(data.counts, TopUp(synthetic_share=0.0, companions=False), RARE)
    rows = [np.arange(len(data))]
    for name in RARE:
        own = np.flatnonzero(data.labels == data.names.index(name))
        rows.append(np.resize(own, plan[name].repeats))
    index = np.concatenate(rows)
    ids = np.array([f"{data.ids[row]}-{place}" for place, row in enumerate(index)])
    return LabelledImages(data.pixels[index], data.labels[index], ids, class_names=data.names)


def make_room(out: Path, overwrite: bool, own: Sequence[str]) -> None:
    """An empty folder; with `overwrite`, one whose earlier demo's files are removed."""
    ours = overwrite and (out / "demo.json").is_file()
    free = not out.exists() or (out.is_dir() and not any(out.iterdir()))
    if not (ours or free):
        raise OutputExistsError(
            f"{str(out)!r} holds something already; expected a folder to be made, or with "
            "--overwrite one that an earlier demo wrote. Name another folder."
        )
    with write_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        for path in (out / name for name in own):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
