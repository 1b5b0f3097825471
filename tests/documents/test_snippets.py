"""Every `python` and `console` block of the README and docs runs, page by page and in order.

A page runs in a folder with small data (`small_data` lists it) and with short fits: TINY replaces
the budgets and steps of its text, SMALLER the defaults of an evaluation. In a console block a line
that begins with "$ " is a command, and it must succeed. The other lines are its output as a reader
sees it; they are not compared, because a fit of four steps finds other numbers. Blocks that
install something are `bash` or `text` and do not run.
"""

from __future__ import annotations

import re
import runpy
import shlex
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from gan_augment.commands.demo import rare_digits
from gan_augment.data.images.png_folder import write_png
from gan_augment.evaluation.options import ARMS

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TINY = (
    (r"^(gan-augment (choose .*?|.*--target .*?)) --budget \S+", r"\1"),
    (r"^(gan-augment (choose|demo) .*)$", r"\1 --dry-run"),  # minutes
    (r"--budget \S+", "--steps 4"),
    (r"--gan-budget \S+", "--steps 4"),
    (r"--steps \d+", "--steps 4"),
    (r"ImageGAN\(budget=\"\w+\"", "ImageGAN(steps=4, selection=False"),  # all are refused
    (r"(\W)budget=[\"'][^\"']+[\"']", r"\1steps=4"),
    (r"(\W)steps=[\d_]+", r"\1steps=4"),
    (r"--counts (\w+=)?\d+", r"--counts \g<1>5"),
    (r"[\w/]*lite0\.pth", "nets:make"),  # the weights are a download
    (r"--n-jobs \d+", "--n-jobs 1"),
)
"""(pattern, replacement) of what takes long: budgets, steps, weights, a comparison of recipes."""
ARMS_TRIED = ("none", "class_weight", "oversample", "smote", "balanced_softmax", "gan")
SMALLER = {
    "options.ARMS": {name: ARMS[name] for name in ARMS_TRIED},
    "design._FOLDS": {"table": 2, "image": 2},
    "design._REPEATS": {"table": 1, "image": 1},
    "design.TEST_REPEATS": 1,
    "learners.UPDATES": 2,
}
"""Defaults of `gan_augment.evaluation` that are minutes: arms, splits, and updates of the CNN."""
NOT_RUN = {
    "torchvision": "not installed here",
    "timm": "not installed here",
    "import ray": "not installed here",
    "dask": "a cluster",
    "torchrun": "several processes",
    "all_ranks": "several processes",
}
"""{a word of a block: why that block does not run}."""


def payments(rows: int, seed: int) -> pd.DataFrame:
    """Payments with numbers, a category, a date and a group; one in twelve is a fraud."""
    rng = np.random.default_rng(seed)
    fraud = rng.random(rows) < 1 / 12
    hour = np.where(fraud, rng.normal(3, 3, rows), rng.normal(14, 4, rows)).astype(int) % 24
    country = np.where(rng.random(rows) < 0.1 + 0.3 * fraud, "CH", rng.choice(["DE", "FR"], rows))
    days = pd.to_timedelta(np.arange(rows) // 4, unit="D")
    return pd.DataFrame(
        {
            "amount": np.exp(rng.normal(3.2 + 0.9 * fraud, 0.7)).round(2),
            "hour": hour,
            "country": country,
            "customer": rng.integers(0, rows // 2, rows),
            "day": pd.Timestamp("2026-01-01") + days,
            "fraud": np.where(fraud, "yes", "no"),
        }
    )


@pytest.fixture(scope="module")
def small_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that pages name.

    photos/ (200 good, 18 crack, 18 dent) and digits/train, digits/test: 8 px PNGs, a folder per
    class. payments.csv and later.csv with the column fraud, new_payments.csv without it.
    recordings/: a folder per class of .npy files (2, 256). beats.npz: `signals` (N, 2, 64), `y`.
    nets.py: `make`, a small network in place of a pretrained one.
    """
    root = tmp_path_factory.mktemp("small-data")
    rng = np.random.default_rng(0)
    (pixels, labels), _ = rare_digits()
    by_digit = {digit: pixels[np.array(labels) == digit] for digit in set(labels)}
    for name, digit, count in (("good", "0", 100), ("crack", "1", 18), ("dent", "7", 18)):
        for number, image in enumerate(by_digit[digit][:count]):
            write_png(root / "photos" / name / f"{number:03d}.png", image)
    for number, image in enumerate(by_digit["6"]):
        write_png(root / "photos" / "good" / f"{number + 100:03d}.png", image)
    for digit, images in by_digit.items():
        for number, image in enumerate(images[:30]):
            part = "test" if number % 3 == 2 else "train"
            write_png(root / "digits" / part / digit / f"{number:03d}.png", image)
    payments(500, 0).to_csv(root / "payments.csv", index=False)
    payments(500, 1).to_csv(root / "later.csv", index=False)
    payments(50, 2).drop(columns="fraud").to_csv(root / "new_payments.csv", index=False)
    for name, count in (("normal", 120), ("fusion", 18), ("premature", 18)):
        (root / "recordings" / name).mkdir(parents=True)
        for number in range(count):
            wave = rng.normal(size=(2, 256)).cumsum(axis=1).astype(np.float32)
            np.save(root / "recordings" / name / f"{number:03d}.npy", wave)
    np.savez(
        root / "beats.npz",
        signals=rng.normal(size=(120, 2, 64)).astype(np.float32),
        y=np.array(["normal"] * 84 + ["fusion"] * 36),
    )
    (root / "nets.py").write_text(
        "import torch\n\n\ndef make():\n    torch.manual_seed(0)\n"
        "    return torch.nn.Sequential(torch.nn.AvgPool2d(56), torch.nn.Flatten())\n"
    )
    return root


def blocks(page: Path) -> Iterator[tuple[int, str, str]]:
    """The line, language and text of each block of a page that runs."""
    text = page.read_text(encoding="utf-8")
    for match in re.finditer(r"^```(python|console)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        if not any(word in match[2] for word in NOT_RUN):
            yield text[: match.start()].count("\n") + 2, match[1], match[2]


def shortened(code: str) -> str:
    """`code` with short fits."""
    for pattern, short in TINY:
        code = re.sub(pattern, short, code, flags=re.MULTILINE)
    return code


def commands(block: str) -> list[str]:
    """The commands of a console block; a backslash continues one on the next line."""
    lines = block.replace("\\\n", " ").splitlines()
    return [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]


def run(line: str, start_command: Callable[..., Any]) -> None:
    """Run a command of a console block in the current folder; it must succeed."""
    program, *words = shlex.split(shortened(line), comments=True)
    if program == "gan-augment":
        fits = words[0] in ("fit", "augment", "evaluate", "translate")
        short = {"--steps", "--target", "--model", "--dry-run"}
        more = ["--steps", "4"] if fits and not short & set(words) else []
        done = start_command(*words, *more, cwd=Path.cwd())
        accepted = {0, 4} if "--fail-on" in words else {0}
        assert done.returncode in accepted, f"{line}\n{done.stdout}\n{done.stderr}"
    elif program == "python" and words[0].endswith(".py"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", words)
            runpy.run_path(words[0], run_name="__main__")
    else:
        subprocess.run([program, *words], check=True, capture_output=True)


@pytest.fixture
def short_evaluations(monkeypatch: pytest.MonkeyPatch) -> None:
    """Evaluate on few splits with few updates."""
    for name, value in SMALLER.items():
        monkeypatch.setattr(f"gan_augment.evaluation.{name}", value)


@pytest.mark.slow
@pytest.mark.usefixtures("short_evaluations")
@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_the_blocks_of_a_page_run(
    page: Path,
    small_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    start_command: Callable[..., Any],
) -> None:
    place = tmp_path / "page"
    shutil.copytree(small_data, place)
    monkeypatch.syspath_prepend(str(place))
    sys.modules.pop("nets", None)
    names: dict[str, Any] = {"__name__": "__main__"}
    with chdir(place), torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a fit of four steps warns
        for line, language, block in blocks(page):
            if language == "python":
                code = "\n" * (line - 1) + shortened(block)  # so that a traceback names the line
                exec(compile(code, str(page), "exec"), names)  # noqa: S102
            else:
                for command in commands(block):
                    run(command, start_command)
