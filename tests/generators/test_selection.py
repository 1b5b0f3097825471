"""Sample i of a class is its i-th candidate worth keeping, and what is not worth it is refused."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from gan_augment import ImageGAN
from gan_augment.classifier import train_classifier
from gan_augment.commands.sample import sample
from gan_augment.errors import DataError, TooFewAcceptedError
from gan_augment.generators import calibration
from gan_augment.generators.calibration import (
    detectability,
    pairs_of,
    select,
    train_detector,
)
from gan_augment.generators.model_file import (
    ArtefactRecord,
    ClassSelection,
    SelectionRecord,
    Thresholds,
)
from gan_augment.generators.scorer import SCORER_ROWS_A_CLASS
from gan_augment.generators.selection import (
    SampleSequence,
    Scores,
    Selection,
    check_going_on,
    failed,
    first_block,
)
from gan_augment.kinds.kind import Labelled
from gan_augment.progress import Progress
from gan_augment.recipes import Recipe, SelectionSettings, resolve_recipe
from gan_augment.storage import load_bundle, save_bundle

EASY = SelectionSettings(label=0, outlier=0, logit=0.4)
"""D alone decides, so that every class keeps some and rejects some however short the training."""


def with_selection(settings: SelectionSettings, name: str = "auto") -> Recipe:
    return resolve_recipe(name).model_copy(update={"selection": settings})


def fit(data: Labelled, settings: SelectionSettings = EASY, name: str = "auto", **more):
    recipe = with_selection(settings, name)
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
    return select(data, rows, gan._sampler.sampler, torch.nn.Identity(), chosen, 0, Progress())[0]


def some(n: int, **scores) -> Scores:
    """Scores that pass everything but what is given."""
    usual = {"label": np.ones(n), "distance": np.ones((2, n))}
    usual |= {"logit": np.zeros(n), "real": np.ones(n)}
    return Scores(**{**usual, **{k: np.array(v, dtype=float) for k, v in scores.items()}})


def test_a_candidate_is_rejected_for_the_first_criterion_that_it_fails_of_those_that_are_on():
    scores = some(4, label=[0.05, 0.9, 0.9, 0.05], logit=[0, -2, 0, -2], real=[1, 1, 0.1, 1])
    limits = Thresholds(label=0.1, logit=-1.0, real=0.5)
    assert failed(scores, limits).tolist() == ["label", "logit", "artefacts", "label"]
    assert failed(scores, Thresholds()).tolist() == [""] * 4


def test_an_outlier_is_far_in_every_fold_and_a_copy_near_in_one_or_equal():
    scores = some(5, distance=[[1, 9, 9, 0, 5], [1, 1, 9, 5, 5]])
    assert failed(scores, Thresholds(far=(8, 8))).tolist() == ["", "", "outlier", "", ""]
    assert failed(scores, Thresholds(near=(0.5, 0.5))).tolist() == ["", "", "", "copy", ""]
    assert failed(scores, Thresholds(near=(0, 0))).tolist() == ["", "", "", "copy", ""]


@pytest.mark.slow
def test_what_is_sampled_is_what_selection_keeps_in_the_order_of_the_candidates(gan):
    blocks = [gan.judged_block("bad", number) for number in range(3)]
    kept = np.concatenate([pixels[reasons == ""] for pixels, reasons in blocks])
    assert 60 < len(kept) < 3 * 64
    assert np.array_equal(gan.sample({"bad": len(kept)}).pixels, kept)
    drawn = [gan.sample_block("bad", number) for number in range(3)]
    assert np.array_equal(np.concatenate(drawn), kept)


@pytest.mark.slow
@pytest.mark.parametrize(("start", "stop"), [(0, 10), (33, 70), (90, 91), (5, 5)])
def test_a_range_is_a_piece_of_the_whole_whatever_was_drawn_before(gan, start, stop):
    whole = gan.sample({"bad": 100}).pixels
    assert np.array_equal(gan.rows("bad", start, stop), whole[start:stop])
    fresh = copy.copy(gan)
    fresh._sampler = SampleSequence(gan._sampler.sampler, gan._sampler.selection)
    assert np.array_equal(fresh.rows("bad", start, stop), whole[start:stop])


@pytest.mark.slow
def test_without_selection_every_candidate_is_given(plain, gan):
    assert plain.meta_.selection is None
    pixels, _ = gan.judged_block("bad", 0)
    assert np.array_equal(plain.sample({"bad": 64}).pixels, pixels)  # training is the same


@pytest.mark.slow
def test_a_class_of_under_eight_rows_is_refused_with_the_cure(gan):
    with pytest.raises(TooFewAcceptedError, match=r"5 training images of 'few'.*--no-selection"):
        gan.sample({"good": 3, "few": 1})


@pytest.mark.slow
def test_a_class_whose_candidates_hardly_pass_is_refused_with_its_acceptance(data, gan):
    strict = selected(gan, data, label=1, label_least=1, outlier=0)
    assert strict.record.classes["bad"].acceptance < 0.1
    with pytest.raises(TooFewAcceptedError, match=r"% of the candidates for 'bad'.*'label'"):
        strict.check_served("bad")


def test_a_sequence_that_keeps_nothing_ends_in_words():
    check_going_on("bad", 0, 15)
    check_going_on("bad", 21, 16)
    with pytest.raises(TooFewAcceptedError, match="20 of the first 1024 candidates for 'bad'"):
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
    settings = SelectionSettings(label=0, outlier=0, logit=0.1, real=0.3, copy_guard=0.01)
    saved = fit(data, settings, name)
    saved.save(tmp_path / "model")
    loaded = ImageGAN.load(tmp_path / "model", device="cpu")
    assert loaded.meta_ == saved.meta_
    for number in range(2):
        ours, theirs = (gan.judged_block("bad", number) for gan in (saved, loaded))
        assert np.array_equal(ours[0], theirs[0])
        assert ours[1].tolist() == theirs[1].tolist()
    thresholds = saved.meta_.selection.classes["bad"].thresholds
    assert (thresholds.near is None) == (name == "auto")
    assert thresholds.real is not None


@pytest.mark.slow
def test_a_model_of_the_first_schema_gives_every_candidate(plain, tmp_path):
    plain.save(tmp_path / "model")
    arrays, meta = load_bundle(tmp_path / "model", schema=dict)
    old = {k: v for k, v in meta.items() if k not in ("selection", "artefacts")}
    old["recipe"] = {k: v for k, v in meta["recipe"].items() if k != "selection"}
    save_bundle(tmp_path / "old", arrays, {**old, "schema": 1}, "model")
    loaded = ImageGAN.load(tmp_path / "old", device="cpu")
    assert np.array_equal(loaded.sample({"few": 9}).pixels, plain.sample({"few": 9}).pixels)
    assert loaded.advised_share_ == 0.5  # nothing was judged


@pytest.mark.slow
@pytest.mark.parametrize("part", ["fold-1/", "discriminator/", "rows-0/"])
def test_a_damaged_selection_is_refused_in_words(gan, part, tmp_path, refusal):
    gan.save(tmp_path / "model")
    arrays, meta = load_bundle(tmp_path / "model", schema=dict)
    wide = [k for k, v in arrays.items() if v.ndim > 1 and v.shape[1] > 1]
    name = next(k for k in wide if k.startswith(f"selection/{part}"))
    assert "shape" in refusal(ImageGAN, arrays | {name: arrays[name][:, :1]}, meta)


@pytest.mark.slow
def test_the_same_fit_selects_the_same_and_moves_no_global_generator(data, gan):
    state = torch.random.get_rng_state()
    again = fit(data)
    assert torch.equal(state, torch.random.get_rng_state())
    assert again.meta_ == gan.meta_
    assert again.judged_block("good", 0)[1].tolist() == gan.judged_block("good", 0)[1].tolist()


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
def test_without_a_fold_the_classifier_that_did_not_see_it_decides(data, gan):
    selection = selected(gan, data, outlier=0.9)
    far = selection.record.classes["good"].thresholds.far
    rows = data.pixels[data.labels == 0][:9]
    both = selection.critics.scores(rows, 0)
    for fold in (0, 1):
        one = selection.without(fold)
        assert one.record.classes["good"].thresholds.far == far[fold : fold + 1]
        assert np.array_equal(one.critics.scores(rows, 0).distance, both.distance[fold : fold + 1])


def paired(data: Labelled, generated):
    rows = np.arange(len(data))
    return pairs_of(data, rows, rows % 2, generated, seed=0)


@pytest.mark.slow
def test_the_judge_is_never_fooled_by_marks_and_guesses_without(make_images):
    data = make_images({"good": 120, "bad": 60})
    other = make_images({"good": 240, "bad": 120})
    alike = {label: other.pixels[other.labels == label][-n:] for label, n in ((0, 120), (1, 60))}
    alike = {label: np.random.default_rng(1).permutation(x) for label, x in alike.items()}
    marked = {label: x.copy() for label, x in alike.items()}
    for x in marked.values():
        x[:, 2:5, 2:5] = 255
    found = {}
    for name, kept in (("alike", alike), ("marked", marked)):
        pairs = paired(data, kept)
        found[name] = detectability(data.names, pairs, train_detector(data, pairs, 0))
    assert found["marked"].accuracy > 0.97
    assert set(found["marked"].classes) == {"good", "bad"}
    assert 0.3 < found["alike"].accuracy < 0.7


def test_classes_without_pairs_enough_are_not_judged(make_images):
    data = make_images({"good": 40, "bad": 4})
    kept = {label: data.pixels[data.labels == label] for label in (0, 1)}
    pairs = paired(data, kept)
    assert {label: len(real) for label, (real, _) in pairs.items()} == {0: 40}
    assert not paired(data, {1: kept[1]})


@pytest.mark.parametrize(("accuracy", "share"), [(0.6, 0.5), (0.97, 0.0), (1.0, 0.0)])
def test_an_older_model_that_never_fools_a_judge_is_not_advised(accuracy, share, gan):
    record = ArtefactRecord(accuracy=accuracy, rows=50, classes={"bad": accuracy})
    meta = gan.meta_.model_copy(update={"artefacts": record, "version": 2})
    assert meta.advised_share == share
    assert f"share: {share:g}" in meta.advice()


def test_selection_says_per_class_what_it_keeps_and_why_not(gan):
    classes = {
        "a": ClassSelection(acceptance=0.9, rejected={"label": 0.1}),
        "b": ClassSelection(acceptance=0.05, rejected={"logit": 0.95}, refused="too few"),
        "c": ClassSelection(refused="3 images"),
    }
    record = SelectionRecord(folds=2, compared=9, classes=classes)
    lines = gan.meta_.model_copy(update={"selection": record}).selection_lines()
    assert lines[1:] == [
        "  a  90% (dropped: 10% label)",
        "  b  refused at 5% (dropped: 95% logit)",
        "  c  refused: 3 images",
    ]


@pytest.mark.slow
def test_a_class_without_rows_is_refused_in_words(data, gan):
    empty = replace(data, class_names=(*data.class_names, "none"))
    with pytest.raises(DataError, match=r"'none' had no training row.*Add images"):
        selected(gan, empty).check_served("none")


@pytest.mark.slow
def test_selection_copies_a_bounded_number_of_rows_however_many_there_are(
    make_images, gan, monkeypatch
):
    many, copied = make_images({"good": 9000, "bad": 12, "few": 5}), []

    def quick(data: Labelled, *, steps: int, seed: int):
        copied.append(len(data))
        return train_classifier(data, steps=1, seed=seed)

    monkeypatch.setattr(calibration, "train_classifier", quick)
    selected(gan, many)
    assert max(copied) < SCORER_ROWS_A_CLASS + 20


@pytest.mark.slow
def test_no_fold_s_classifier_learns_a_row_that_the_other_fold_s_one_learns(data, gan, monkeypatch):
    """So that what real rows reach is measured on rows that were not learned."""
    learned = []

    def quick(seen: Labelled, *, steps: int, seed: int):
        learned.append(set(seen.ids.tolist()))
        return train_classifier(seen, steps=1, seed=seed)

    monkeypatch.setattr(calibration, "train_classifier", quick)
    selected(gan, data)
    assert learned[0].isdisjoint(learned[1])
    assert learned[0] | learned[1] == set(data.ids.tolist())


@pytest.mark.slow
def test_spans_of_a_selected_class_are_drawn_without_those_before_them(gan, tmp_path):
    whole = gan.sample({"bad": 1100}).pixels
    gan.save(tmp_path / "run" / "model")
    again = ImageGAN.load(tmp_path / "run" / "model", threads=1)
    assert np.array_equal(again.rows("bad", 1000, 1100), whole[1000:])
    assert np.array_equal(again.sample_block("bad", first_block(1, selecting=True))[0], whole[1024])
    for shard in ("2/2", "1/2"):
        sample(tmp_path / "run", tmp_path / "out", counts={"bad": 1100}, shard=shard)
    drawn = sorted((tmp_path / "out" / "bad").iterdir())
    assert np.array_equal(np.stack([np.asarray(Image.open(png)) for png in drawn]), whole.squeeze())
