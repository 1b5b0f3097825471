"""The demo: what it cuts, what it writes, what it says, and what it leaves alone."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from gan_augment.data.topup_plan import rare_classes
from gan_augment.errors import OutputExistsError
from gan_augment.workflows.demonstration import (
    ARMS,
    RARE,
    RARE_ROWS,
    DemoResult,
    cut_digits,
    demo,
    with_repeats,
)


def test_three_digits_are_cut_to_twenty_rows_and_are_the_rare_ones() -> None:
    train, test = cut_digits()
    assert rare_classes(train.counts) == RARE
    assert {train.counts[name] for name in RARE} == {RARE_ROWS}
    assert min(test.counts.values()) >= 70


def test_no_test_digit_is_ever_trained_on_and_pixels_use_the_whole_range() -> None:
    train, test = cut_digits()
    assert not set(train.ids) & set(test.ids)
    assert (train.pixels.min(), train.pixels.max()) == (0, 255)
    assert set(np.unique(test.pixels)) <= {round(level * 255 / 16) for level in range(17)}


def test_repeats_fill_the_rare_classes_with_their_own_rows_as_evenly_as_possible() -> None:
    train, _ = cut_digits()
    filled = with_repeats(train)
    assert {filled.counts[name] for name in RARE} == {max(train.counts.values())}
    for name in RARE:
        rows = filled.pixels[filled.labels == filled.names.index(name)]
        real = train.pixels[train.labels == train.names.index(name)]
        times = np.unique(rows.reshape(len(rows), -1), axis=0, return_counts=True)[1]
        assert len(times) == len(np.unique(real.reshape(len(real), -1), axis=0))
        assert times.max() - times.min() <= 1


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_that_no_demo_wrote_is_left_alone(tmp_path: Path, overwrite: bool) -> None:
    (tmp_path / "digits").mkdir()
    (tmp_path / "digits" / "mine.png").write_bytes(b"mine")
    with pytest.raises(OutputExistsError, match="Name another folder"):
        demo(tmp_path, steps=2, overwrite=overwrite)
    assert (tmp_path / "digits" / "mine.png").read_bytes() == b"mine"


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> DemoResult:
    out = tmp_path_factory.mktemp("tried") / "a demo"
    return demo(out, steps=4, seeds=1, classifier_steps=2)


@pytest.mark.slow
def test_the_demo_writes_the_folder_the_model_and_the_picture(done: DemoResult) -> None:
    assert (done.run / "model").is_dir()
    assert done.samples.read_bytes().startswith(b"\x89PNG")
    assert sum(1 for _ in done.data.rglob("*.png")) == done.arms[0].rows
    assert sum(1 for _ in done.topped_up.rglob("*.png")) == done.arms[2].rows
    with (done.topped_up / "manifest.csv").open(newline="", encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == done.arms[2].rows


@pytest.mark.slow
def test_the_demo_compares_three_arms_and_says_what_they_showed(done: DemoResult) -> None:
    assert tuple(arm.name for arm in done.arms) == ARMS
    text = "\n".join(done.lines())
    assert all(name in text for name in (*ARMS, str(done.run), str(done.samples)))
    assert "one seed cannot tell" in done.sentence
    stored = json.loads((done.data.parent / "demo.json").read_text(encoding="utf-8"))
    assert stored == json.loads(json.dumps(done.to_dict()))


@pytest.mark.slow
def test_a_second_demo_replaces_its_own_files_and_no_others(done: DemoResult) -> None:
    out = done.data.parent
    (out / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(OutputExistsError):
        demo(out, steps=4)
    demo(out, steps=2, seeds=1, classifier_steps=2, overwrite=True)
    assert (out / "notes.txt").read_text(encoding="utf-8") == "mine"
