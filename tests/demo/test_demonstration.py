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
    _held,
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


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_that_no_demo_wrote_is_left_alone(tmp_path, overwrite):
    (tmp_path / "digits").mkdir()
    (tmp_path / "digits" / "mine.png").write_bytes(b"mine")
    with pytest.raises(OutputExistsError, match="name a new folder"):
        demo(tmp_path, steps=2, overwrite=overwrite)
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
    stored = json.loads((done.data.parent / "demo.json").read_text(encoding="utf-8"))
    assert stored == done.to_dict()
    result = json.loads((done.report / "result.json").read_text(encoding="utf-8"))
    assert (result["protocol"]["splits"], result["data"]["rows"]) == ("test", 200)
    low, high = result["verdict"]["difference"]["interval"]
    assert high - low < 0.1


def test_a_demo_ends_with_what_to_do_next_and_the_picture(tmp_path):
    done = done_at(tmp_path, "digits")
    lines = done.lines()
    text = "\n".join(lines)
    assert text.index(done.recommendation) < text.index(done.sentence) < text.index("do next:")
    assert [line for line in lines if line.startswith("  ")] == lines[-5:-2]
    assert lines[-1] == f"real, generated and refused images: {done.samples}"
    paths = (done.data, done.run, done.topped_up, done.report / "report.html")
    assert all(str(path) in text for path in paths)


@pytest.mark.parametrize("order", [((), ("--table",)), (("--table",), ())])
def test_both_demos_run_in_any_order(command, tmp_path, monkeypatch, order):
    monkeypatch.setattr(demonstration, "_run", lambda out, data, *_, **__: done_at(out, data))
    for flags in order:
        ran = command("demo", *flags)
        assert ran.returncode == 0, ran.stderr
        again = command("demo", *flags)
        assert (again.returncode, "--overwrite" in again.stderr) == (2, True)
    assert {path.name for path in tmp_path.iterdir()} == {"demo", "demo-table"}


def done_at(out, data):
    """Return the result of a demo without its work."""
    paths = [out / name for name in (data, "run", "topped-up", "samples.png", "report")]
    said = ("Correct the decision: +8.0 points.", "ADOPT", "ADOPT: it helps.", "apply.py NEW")
    return DemoResult(*paths, ("3",), *said)


def test_two_demos_cannot_write_one_folder(tmp_path):
    (tmp_path / f"demo.json.tmp-{2**22 + 1}").write_bytes(b"{")  # killed in its first write
    with hold_folder(tmp_path), pytest.raises(FolderInUseError):
        demo(tmp_path, table=True)
    with _held(tmp_path, False):
        assert {path.name for path in tmp_path.iterdir()} == {".lock", "demo.json"}


@pytest.mark.slow
def test_a_second_demo_replaces_its_own_files_and_no_others(done):
    out = done.data.parent
    (out / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(OutputExistsError):
        demo(out, table=True, steps=2)
    with pytest.raises(ValueError, match="steps"):  # once the earlier files are gone
        demo(out, table=True, steps=-1, overwrite=True)
    left = {"cells.csv", "cells-test.csv", "demo.json", "notes.txt"}
    assert {path.name for path in out.iterdir()} == left


@pytest.mark.slow
def test_the_command_tops_up_digits_and_says_where_things_are(command, done, tmp_path, monkeypatch):
    said = SimpleNamespace(sentence=done.sentence, recommendation=done.recommendation)
    measured = SimpleNamespace(
        out=done.report, verdict=done.verdict, evaluation=said, following=done.following
    )
    # the evaluation of images is a minute's work, and the table's shows how a demo ends
    monkeypatch.setattr(demonstration, "evaluate", lambda *_, **__: measured)
    ran = command("demo", "out", "--steps", 2, "--json")
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert told["sentence"].startswith(told["verdict"])
    assert (tmp_path / told["run"] / "model.safetensors").is_file()
    assert (tmp_path / told["samples"]).read_bytes().startswith(b"\x89PNG")
    topped_up = tmp_path / told["topped_up"]
    with (topped_up / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert sum(1 for _ in topped_up.rglob("*.png")) == len(rows)
