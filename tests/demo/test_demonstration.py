"""The demo: what it cuts, what it writes, what it says, and what it leaves alone."""

import csv
import json
from collections import Counter
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from gan_augment.commands import demo as demonstration
from gan_augment.commands.demo import (
    CELLS_ROWS,
    RARE_CELLS,
    RARE_DIGITS,
    RARE_ROWS,
    TARGET,
    DemoResult,
    demo,
    rare_cells,
    rare_digits,
)
from gan_augment.data.topup_plan import rare_classes
from gan_augment.errors import FolderInUseError, OutputExistsError
from gan_augment.storage.lock import hold_folder


def test_three_digits_are_cut_to_ten_rows_and_all_others_are_the_test():
    (pixels, labels), (_, tested) = rare_digits()
    counts, left = (dict(sorted(Counter(part).items())) for part in (labels, tested))
    assert rare_classes(counts) == RARE_DIGITS
    assert {counts[name] for name in RARE_DIGITS} == {RARE_ROWS}
    assert (len(labels), len(tested)) == (730, 1067)
    assert min(left.values()) > 70
    assert set(np.unique(pixels)) <= {round(level * 255 / 16) for level in range(17)}


def test_enough_cells_are_left_to_test_on():
    train, test = (part[TARGET].value_counts().to_dict() for part in rare_cells())
    assert rare_classes(train) == (RARE_CELLS,)
    assert train[RARE_CELLS] == CELLS_ROWS
    assert min(test.values()) > 150


def test_a_folder_that_holds_something_is_left_alone(tmp_path):
    (tmp_path / "digits").mkdir()
    (tmp_path / "digits" / "mine.png").write_bytes(b"mine")
    with pytest.raises(OutputExistsError, match="name a new folder"):
        demo(tmp_path, steps=2)
    assert (tmp_path / "digits" / "mine.png").read_bytes() == b"mine"


@pytest.fixture(scope="module", autouse=True)
def one_process() -> Iterator[None]:
    """Workers need seconds to start, and this evaluation is short."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demonstration, "available_cores", lambda: 1)
        yield


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> DemoResult:
    out = tmp_path_factory.mktemp("tried") / "a demo"
    return demo(out, table=True, steps=2)


@pytest.mark.slow
def test_the_demo_of_a_table_ends_with_a_recommendation_on_other_rows(done):
    original, filled = done.data.read_bytes(), done.topped_up.read_bytes()
    assert filled.startswith(original)
    counts = pd.read_csv(done.topped_up)[TARGET].value_counts()
    assert counts["benign"] == counts[RARE_CELLS]
    assert (done.report / "report.html").is_file()
    result = json.loads((done.report / "result.json").read_text(encoding="utf-8"))
    assert (result["protocol"]["splits"], result["data"]["rows"]) == ("test", 200)
    low, high = result["verdict"]["difference"]["interval"]
    assert high - low < 0.1


def test_a_demo_ends_with_what_to_do_next_and_the_picture(tmp_path):
    done = done_at(tmp_path, "digits")
    lines = done.lines()
    text = "\n".join(lines)
    assert text.index(done.recommendation) < text.index(done.sentence)
    assert f"real, generated and refused images: {done.samples}" in lines
    assert "gan-augment evaluate PHOTOS" in lines[-1]
    paths = (done.data, done.run, done.topped_up, done.report / "report.html")
    assert all(str(path) in text for path in paths)


@pytest.mark.parametrize("order", [((), ("--table",)), (("--table",), ())])
def test_both_demos_run_in_any_order(command, tmp_path, monkeypatch, order):
    monkeypatch.setattr(demonstration, "_run", lambda out, data, *_, **__: done_at(out, data))
    for flags in order:
        ran = command("demo", *flags)
        assert ran.returncode == 0, ran.stderr
        again = command("demo", *flags)
        assert (again.returncode, "new folder" in again.stderr) == (2, True)
    assert {path.name for path in tmp_path.iterdir()} == {"demo", "demo-table"}


def done_at(out, data):
    """Return the result of a demo without its work."""
    names = {"data": data, "run": "run", "topped_up": "topped-up", "report": "report"}
    return DemoResult(
        **{field: out / name for field, name in names.items()},
        samples=out / "samples.png",
        rare=("3",),
        recommendation="Correct the decision: +8.0 points.",
        verdict="ADOPT",
        sentence="ADOPT: it helps.",
        following="apply.py NEW",
    )


def test_two_demos_cannot_write_one_folder(tmp_path):
    with hold_folder(tmp_path), pytest.raises(FolderInUseError):
        demo(tmp_path, table=True)


@pytest.mark.slow
def test_digits_are_topped_up_and_the_result_says_where_things_are(done, tmp_path, monkeypatch):
    said = SimpleNamespace(sentence=done.sentence, recommendation=done.recommendation)
    measured = SimpleNamespace(
        out=done.report, verdict=done.verdict, evaluation=said, following=done.following
    )
    # the evaluation of images is a minute's work, and the table's shows how a demo ends
    monkeypatch.setattr(demonstration, "evaluate", lambda *_, **__: measured)
    made = demo(tmp_path / "out", steps=2)
    assert made.sentence.startswith(made.verdict)
    assert (made.run / "model.safetensors").is_file()
    assert made.samples.read_bytes().startswith(b"\x89PNG")
    with (made.topped_up / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert sum(1 for _ in made.topped_up.rglob("*.png")) == len(rows)
