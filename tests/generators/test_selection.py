"""Sample i of a class is its i-th candidate worth keeping, and what is not worth it is refused."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from gan_augment import ImageGAN
from gan_augment.classifier import train_classifier
from gan_augment.errors import TooFewAcceptedError
from gan_augment.generators import selection
from gan_augment.generators.image_sampler import check_going_on
from gan_augment.generators.model_file import (
    ClassSelection,
    SelectionRecord,
    Thresholds,
)
from gan_augment.generators.selection import SCORER_ROWS_A_CLASS, Scores, Selection, select
from gan_augment.kinds.kind import Labelled
from gan_augment.progress import Progress
from gan_augment.recipes import SelectionSettings, resolve_recipe

EASY = SelectionSettings(label=0, outlier=0, logit=0.4)
"""D alone decides, so that every class keeps some and rejects some however short the training."""


def fit(data: Labelled, settings: SelectionSettings = EASY, name: str = "auto", **more):
    recipe = resolve_recipe(name).model_copy(update={"selection": settings})
    return ImageGAN(recipe=recipe, steps=3, device="cpu", threads=1, **more).fit(data)


@pytest.fixture(scope="module")
def data(make_images) -> Labelled:
    return make_images({"good": 60, "bad": 12, "few": 5})


@pytest.fixture(scope="module")
def gan(data) -> ImageGAN:
    return fit(data)


@pytest.fixture(scope="module")
def plain(data) -> ImageGAN:
    return fit(data, selection=False)


def selected(gan: ImageGAN, data: Labelled, **settings: float) -> Selection:
    """What is selected of the generator of `gan` by the classifiers and distances alone."""
    rows, chosen = np.arange(len(data)), SelectionSettings(logit=0, **settings)
    return select(data, rows, gan._sampler, torch.nn.Identity(), chosen, 0, Progress())


def some(n: int, **scores) -> Scores:
    """Scores that pass everything but what is given."""
    usual = {"label": np.ones(n), "distance": np.ones((2, n))}
    usual |= {"logit": np.zeros(n)}
    return Scores(**{**usual, **{k: np.array(v, dtype=float) for k, v in scores.items()}})


def test_a_candidate_is_rejected_for_the_first_criterion_that_it_fails_of_those_that_are_on():
    scores = some(4, label=[0.05, 0.9, 0.9, 0.05], logit=[0, -2, 0, -2])
    limits = Thresholds(label=0.1, logit=-1.0)
    assert scores.failed(limits).tolist() == ["label", "logit", "", "label"]
    assert scores.failed(Thresholds()).tolist() == [""] * 4


def test_an_outlier_is_far_in_every_fold_and_a_copy_near_in_one_or_equal():
    scores = some(5, distance=[[1, 9, 9, 0, 5], [1, 1, 9, 5, 5]])
    assert scores.failed(Thresholds(far=(8, 8))).tolist() == ["", "", "outlier", "", ""]
    assert scores.failed(Thresholds(near=(0.5, 0.5))).tolist() == ["", "", "", "copy", ""]
    assert scores.failed(Thresholds(near=(0, 0))).tolist() == ["", "", "", "copy", ""]


@pytest.mark.slow
def test_what_is_sampled_is_what_selection_keeps_in_the_order_of_the_candidates(gan):
    blocks = [gan.candidates("bad", number) for number in range(3)]
    kept = np.concatenate([pixels[reasons == ""] for pixels, reasons in blocks])
    assert 60 < len(kept) < 3 * 64
    assert np.array_equal(gan.sample({"bad": len(kept)}).pixels, kept)


@pytest.mark.slow
@pytest.mark.parametrize(("start", "stop"), [(0, 10), (33, 70), (90, 91), (5, 5)])
def test_a_range_is_a_piece_of_the_whole_whatever_was_drawn_before(gan, start, stop):
    whole = gan.sample({"bad": 100}).pixels
    assert np.array_equal(gan.rows("bad", start, stop).pixels, whole[start:stop])
    fresh = copy.copy(gan)
    fresh._sampler = replace(gan._sampler)
    assert np.array_equal(fresh.rows("bad", start, stop).pixels, whole[start:stop])


@pytest.mark.slow
def test_without_selection_every_candidate_is_given(plain, gan):
    assert plain.meta_.selection is None
    pixels, _ = gan.candidates("bad")
    assert np.array_equal(plain.sample({"bad": 64}).pixels, pixels)  # training is the same


@pytest.mark.slow
def test_a_class_of_under_eight_rows_is_refused_with_the_cure(gan):
    with pytest.raises(TooFewAcceptedError, match=r"'few'.*selection=False"):
        gan.sample({"good": 3, "few": 1})


@pytest.mark.slow
def test_a_class_whose_candidates_hardly_pass_is_refused_with_its_acceptance(data, gan):
    strict = selected(gan, data, label=1, label_least=1, outlier=0)
    assert strict.record.classes["bad"].acceptance < 0.1
    with pytest.raises(TooFewAcceptedError, match=r"'bad'.*'label'"):
        strict.check_served("bad")


def test_a_sequence_that_keeps_nothing_ends_in_words():
    check_going_on("bad", 0, 15)
    check_going_on("bad", 21, 16)
    with pytest.raises(TooFewAcceptedError, match="20 of the first 1024"):
        check_going_on("bad", 20, 16)


@pytest.mark.slow
def test_the_acceptance_is_that_of_the_calibration_and_adds_up(gan):
    for name in ("good", "bad"):
        found = gan.meta_.selection.classes[name]
        assert found.acceptance == pytest.approx(0.6, abs=0.02)
        assert found.acceptance + sum(found.rejected.values()) == pytest.approx(1, abs=1e-3)
    assert gan.meta_.selection.classes["few"].acceptance is None


@pytest.mark.slow
@pytest.mark.parametrize("name", ["auto", "free"])
def test_a_loaded_model_keeps_what_the_saved_one_keeps(data, name, tmp_path):
    settings = SelectionSettings(label=0, outlier=0, logit=0.1, copy_guard=0.01)
    saved = fit(data, settings, name)
    saved.save(tmp_path / "model")
    loaded = ImageGAN.load(tmp_path / "model", device="cpu")
    assert loaded.meta_ == saved.meta_
    for number in range(2):
        ours, theirs = (gan.candidates("bad", number) for gan in (saved, loaded))
        assert np.array_equal(ours[0], theirs[0])
        assert ours[1].tolist() == theirs[1].tolist()
    thresholds = saved.meta_.selection.classes["bad"].thresholds
    assert (thresholds.near is None) == (name == "auto")


@pytest.mark.slow
def test_copies_of_training_rows_are_rejected_where_the_generator_is_free(data):
    free = fit(data, SelectionSettings(label=0, outlier=0, logit=0, copy_guard=0.01), "free")
    rows = data.pixels[data.labels == 1]
    assert set(free._sampler.selection.reasons(rows, 1)) == {"copy"}


@pytest.mark.slow
def test_images_of_another_class_are_rejected_by_their_label(data, gan):
    good, bad = (data.pixels[data.labels == label][:12] for label in (0, 1))
    selection = selected(gan, data, outlier=0)
    assert set(selection.reasons(good, 1)) == {"label"}
    assert (selection.reasons(bad, 1) == "").mean() > 0.7


@pytest.mark.slow
def test_of_a_fold_the_classifier_that_did_not_see_it_decides(data, gan):
    selection = selected(gan, data, outlier=0.9)
    far = selection.record.classes["good"].thresholds.far
    rows = data.pixels[data.labels == 0][:9]
    both = selection.scores(rows, 0)
    for fold in (0, 1):
        one = selection.of_fold(fold)
        assert one.record.classes["good"].thresholds.far == far[fold : fold + 1]
        assert np.array_equal(one.scores(rows, 0).distance, both.distance[fold : fold + 1])


def test_selection_says_per_class_what_it_keeps_and_why_not(gan):
    classes = {
        "a": ClassSelection(acceptance=0.9, rejected={"label": 0.1}),
        "b": ClassSelection(acceptance=0.05, rejected={"logit": 0.95}, refused="too few"),
        "c": ClassSelection(refused="3 images"),
    }
    record = SelectionRecord(folds=2, compared=9, classes=classes)
    changed = {"selection": record, "distinguished": None}
    lines = gan.meta_.model_copy(update=changed).kept_lines()
    assert lines[2:5] == [
        "  a  90% (rejected: 10% label)",
        "  b  refused: 5% (rejected: 95% logit)",
        "  c  refused: 3 images",
    ]


@pytest.mark.parametrize(
    ("steps", "accuracy", "first", "more"),
    [
        (60, 0.95, "hardly trained: 60 steps (held-out score 2,", 1920),
        (4000, 0.99, "hardly trained: 4,000 steps", 16_000),
        (4000, 0.94, "kept: step 3, of 4,000 steps", None),
        (60, 0.6, "kept: step 3, of 60 steps", 1920),
        (0, 0.99, "nothing was trained (held-out score 2,", None),
    ],
)
def test_where_a_classifier_distinguishes_the_samples_nothing_is_kept(
    gan, steps, accuracy, first, more
):
    score = gan.meta_.score.model_copy(update={"value": 2.0})
    changed = {"steps": steps, "distinguished": accuracy, "chosen": "step 3", "score": score}
    meta = gan.meta_.model_copy(update=changed)
    lines = meta.kept_lines()
    assert lines[0].startswith(first)
    assert f"from real images with {accuracy:.0%} accuracy (50% is chance)" in lines[1]
    assert bool(meta.hardly_trained) == first.startswith("hardly")
    assert ("kept" in "\n".join(lines)) != bool(meta.hardly_trained)
    assert meta.more_steps == more


@pytest.mark.slow
def test_selection_copies_a_bounded_number_of_rows_however_many_there_are(
    make_images, gan, monkeypatch
):
    many, copied = make_images({"good": 9000, "bad": 12, "few": 5}), []

    def quick(data: Labelled, *, steps: int, seed: int):
        copied.append(len(data))
        return train_classifier(data, steps=1, seed=seed)

    monkeypatch.setattr(selection, "train_classifier", quick)
    selected(gan, many)
    assert max(copied) < SCORER_ROWS_A_CLASS + 20


@pytest.mark.slow
def test_no_fold_s_classifier_learns_a_row_that_the_other_fold_s_one_learns(data, gan, monkeypatch):
    """So that what real rows reach is measured on rows that were not learned."""
    learned = []

    def quick(seen: Labelled, *, steps: int, seed: int):
        learned.append(set(seen.ids.tolist()))
        return train_classifier(seen, steps=1, seed=seed)

    monkeypatch.setattr(selection, "train_classifier", quick)
    selected(gan, data)
    assert learned[0].isdisjoint(learned[1])
    assert learned[0] | learned[1] == set(data.ids.tolist())


@pytest.mark.slow
def test_spans_of_a_selected_class_are_drawn_without_those_before_them(gan, tmp_path):
    whole = gan.sample({"bad": 1100}).pixels
    gan.save(tmp_path / "model")
    again = ImageGAN.load(tmp_path / "model", threads=1)
    assert np.array_equal(again.rows("bad", 1000, 1100).pixels, whole[1000:])
