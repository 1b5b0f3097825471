"""Diagnostics of generated rows, which never change the verdict."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from gan_augment.data.tables.inference import infer_schema
from gan_augment.data.tables.reader import read_frame
from gan_augment.evaluation import diagnosis
from gan_augment.evaluation.diagnosis import averaged, copied, histograms, starts_from_rows, strips
from gan_augment.evaluation.runner import evaluate
from gan_augment.kinds.kind import Labelled
from gan_augment.kinds.table import TABLE
from tests.evaluation.drawn import Noisy, NoisyPictures, changed, digits, options, table

SHORT = options(
    learner="logistic",
    generator=Noisy(),
    folds=2,
    repeats=1,
    arms=("gan",),
    n_jobs=1,
)
PICTURES = changed(SHORT, learner=None, generator=NoisyPictures(), updates=5)


class Repeating(Noisy):
    """Gives training rows as they are."""

    def __init__(self) -> None:
        super().__init__(spread=0.0)


@pytest.mark.slow
def test_diagnostics_change_no_verdict_and_may_be_added_on_resuming(
    tmp_path: Path,
) -> None:
    looked = evaluate(table(), SHORT).result
    without = evaluate(table(), changed(SHORT, diagnostics=False), out=tmp_path).result
    assert without["diagnostics"] is None
    assert without["pictures"] is None
    own = ("diagnostics", "pictures")
    assert {k: v for k, v in looked.items() if k not in own} == {
        k: v for k, v in without.items() if k not in own
    }
    before = (tmp_path / "journal.jsonl").read_text().splitlines()
    assert evaluate(table(), SHORT, out=tmp_path, resume=True).result == looked
    after = (tmp_path / "journal.jsonl").read_text().splitlines()
    assert after[:-1] == before  # no cell is fitted again


@pytest.mark.slow
def test_classes_that_are_not_compared_are_named() -> None:
    many = table({f"c{i:02}": 16 for i in range(20)} | {"rare": 6, "z": 16})
    found = evaluate(many, SHORT).result["diagnostics"]
    assert next(iter(found["classes"])) == "rare"
    assert len(found["classes"]) == 20
    assert "only 20 classes are compared; left out: c19, z" in found["notes"]


@pytest.mark.slow
def test_copying_of_training_rows_is_detected() -> None:
    found = evaluate(table(), changed(SHORT, generator=Repeating())).result["diagnostics"]
    assert not found["near_by_design"]
    rare = found["classes"]["rare"]
    assert rare["copying"]["identical"]["value"] == 1.0
    assert rare["copying"]["nearer_share"]["interval"][0] > 0.5
    assert "copying detected: rare, common" in found["notes"]
    assert rare["rows"] == {"real": [8], "synthetic": [200], "held_out": [8]}


@pytest.mark.slow
def test_images_are_shown_with_the_real_rows_nearest_to_them() -> None:
    found = evaluate(digits(), PICTURES).result
    pictures, diagnostics = found["pictures"], found["diagnostics"]
    assert (pictures["kind"], pictures["fold"]) == ("images", 0)
    assert next(iter(pictures["classes"])) == "2"  # the topped-up one comes first
    strip = base64.b64decode(pictures["classes"]["2"]["generated"])
    picture = Image.open(io.BytesIO(strip))
    assert picture.size == (8 * 9, 8)
    assert picture.info["Synthetic"] == "true"
    assert diagnostics["extractor"]["name"] == (
        "penultimate layer of a CNN of the real training rows, classes weighed alike"
    )
    assert 0 <= diagnostics["classes"]["2"]["figures"]["two_sample"]["value"] <= 1


def test_the_nearest_real_row_of_a_copy_is_the_row_itself() -> None:
    data = digits()
    twos = np.flatnonzero(data.labels == 2)

    def flat(rows: Labelled) -> np.ndarray:
        return rows.pixels.reshape(len(rows), -1).astype(float)

    made = replace(data.take(twos[[4, 1]]), ids=np.array(["a", "b"]))
    shown = strips(data, {"2": made}, flat, 0)["classes"]["2"]
    assert shown["distances"] == [0.0, 0.0]
    same = [Image.open(io.BytesIO(base64.b64decode(shown[k]))) for k in ("generated", "nearest")]
    assert np.array_equal(np.asarray(same[0]), np.asarray(same[1]))


def test_rows_of_features_are_shown_as_photos_within_what_a_page_may_hold(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    photos = digits()
    frame = pd.DataFrame(photos.pixels.reshape(len(photos), -1).astype(float))
    rows = TABLE.of(frame, photos.labels, photos.ids, class_names=photos.names)
    twos = np.flatnonzero(photos.labels == 2)
    copies = {n: replace(rows.take(twos[[4, 1]]), ids=np.array(["a", "b"])) for n in ("2", "1")}

    def flat(table: Labelled) -> np.ndarray:
        return table.frame.to_numpy()

    shown = strips(rows, copies, flat, 0, photos)["classes"]
    assert (list(shown), shown["2"]["distances"]) == (["2", "1"], [0.0, 0.0])
    nearest = np.asarray(Image.open(io.BytesIO(base64.b64decode(shown["2"]["nearest"]))))
    assert np.array_equal(nearest[:, :8], photos.pixels[twos[4], ..., 0])
    monkeypatch.setattr(diagnosis, "MOST_BYTES", len(shown["2"]["real"] + shown["2"]["nearest"]))
    assert list(strips(rows, copies, flat, 0, photos)["classes"]) == ["2"]


def test_histograms_hold_the_shares_of_bins_levels_moments_and_missing_cells() -> None:
    frame = pd.DataFrame(
        {
            "size": np.r_[np.linspace(0, 16, 31), np.nan],
            "kind": ["u"] * 8 + ["v"] * 24,
            "day": pd.date_range("2024-01-01", periods=32),
        }
    )
    whole = read_frame(frame, y=["one"] * 16 + ["two"] * 16).table
    schema = infer_schema(frame)
    own = whole.take(np.flatnonzero(whole.labels == 1))
    size, kind, day = histograms(whole, {"two": own}, schema)["classes"]["two"]["columns"]
    assert (len(size["edges"]), size["edges"][-1]) == (17, 16.0)
    assert sum(size["real"]) == pytest.approx(15 / 16, abs=1e-3)  # one cell is missing
    assert size["real"] == size["generated"]
    assert dict(zip(kind["levels"], kind["real"], strict=True))["v"] == 1.0
    assert day["levels"][0].startswith("2024-01-17")
    assert kind["levels"] == ["u", "v"]


def test_folds_are_averaged_over_those_that_have_a_figure() -> None:
    empty = dict.fromkeys(("value", "floor", "ideal", "interval", "p", "caveat"))
    first = {**empty, "value": 0.2, "interval": [0.1, 0.3], "p": 0.04}
    second = {**empty, "value": 0.4, "interval": [0.3, 0.5], "p": 0.5, "caveat": "few rows"}
    found = averaged([first, {**empty, "caveat": "no rows"}, second])
    assert found["value"] == pytest.approx(0.3)
    assert found["interval"] == pytest.approx([0.2, 0.4])
    # the larger of two: the smaller one is below .05 in nearly one of ten perfect pairs
    assert (found["p"], found["caveat"]) == (0.5, "no rows")


def test_copying_is_detected_beyond_chance_only() -> None:
    def copying(low: float | None, p: float | None) -> dict[str, Any]:
        interval = None if low is None else [low, 1.0]
        return {"nearer_share": {"interval": interval}, "identical": {"p": p}}

    assert copied(copying(0.51, 1.0))
    assert copied(copying(0.4, 0.01))
    assert not copied(copying(0.49, 0.8))
    assert not copied(copying(None, None))


def test_rows_are_near_by_design_where_they_start_from_rows() -> None:
    def fitted(anchors: int, kind: str) -> Any:
        recipe = SimpleNamespace(generator=SimpleNamespace(free=kind == "free"))
        return SimpleNamespace(meta_=SimpleNamespace(anchors=anchors, recipe=recipe))

    assert starts_from_rows(fitted(90, "anchored"))
    assert not starts_from_rows(fitted(0, "free"))
    assert not starts_from_rows(Noisy())
