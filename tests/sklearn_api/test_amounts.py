"""Amounts in `AugmentedClassifier`: what is added when one is named, and when "auto" chooses."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import make_scorer, recall_score
from sklearn.model_selection import cross_validate
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from gan_augment import Amount, AugmentedClassifier, GANAugmenter, TabularGAN
from gan_augment.errors import DivergedError
from gan_augment.evaluation.amount import LADDER, NOTHING


@pytest.mark.usefixtures("untried")
def test_an_amount_of_the_gan_brings_every_class_to_that_fraction(blobs, quick, recorder):
    X, y = blobs
    model = AugmentedClassifier(recorder(), quick(), amount=Amount("gan", 0.5)).fit(X, y)
    assert Counter(model.estimator_.seen_[1].tolist()) == {0: 96, 1: 48}
    assert Counter(model.origin_.tolist()) == {"real": 120, "repeat": 12, "synthetic": 12}
    assert model.amount_ == Amount("gan", 0.5)
    assert hasattr(model.augmenter_, "synthesizer_")


@pytest.mark.usefixtures("untried")
@pytest.mark.parametrize("source", ["repeats", "smote"])
def test_amounts_of_other_sources_train_no_generator(blobs, quick, source, recorder):
    X, y = blobs
    model = AugmentedClassifier(recorder(), quick(), amount=Amount(source, 1.0)).fit(X, y)
    assert not hasattr(model.augmenter_, "synthesizer_")
    added = model.estimator_.seen_[0][120:]
    again = (added[:, None] == X[y == 1][None]).all(axis=2).any(axis=1)
    assert again.all() if source == "repeats" else not again.any()


@pytest.mark.usefixtures("untried")
def test_no_amount_is_the_estimator_alone(blobs, quick):
    X, y = blobs
    model = AugmentedClassifier(LogisticRegression(), quick(), amount=NOTHING).fit(X, y)
    assert (model.estimator_.coef_ == LogisticRegression().fit(X, y).coef_).all()


@pytest.mark.usefixtures("untried")
def test_auto_chooses_by_the_score_that_is_named(blobs, quick):
    X, y = blobs
    helped = AugmentedClassifier(LogisticRegression(), quick(), "auto", "recall").fit(X, y)
    assert helped.amount_ != NOTHING
    assert "recall" in helped.amount_choice_.reason
    spoilt = AugmentedClassifier(LogisticRegression(), quick(), "auto", "precision").fit(X, y)
    assert spoilt.amount_ == NOTHING
    assert (spoilt.predict(X) == LogisticRegression().fit(X, y).predict(X)).all()


@pytest.mark.usefixtures("untried")
def test_auto_tries_every_source_and_says_what_each_is_worth(blobs, quick):
    X, y = blobs
    choice = AugmentedClassifier(LogisticRegression(), quick(), "auto").fit(X, y).amount_choice_
    assert set(choice.mean) == {a for a in LADDER if a == NOTHING or a.to >= 0.5}
    assert "balanced_accuracy" in choice.reason


@pytest.mark.usefixtures("untried")
def test_auto_takes_a_scorer_of_ones_own_and_leaves_out_what_cannot_serve(quick):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=60), "b": rng.choice(["x", "y"], 60)})
    frame.loc[::5, "a"] = np.nan
    y = np.array(["no"] * 45 + ["yes"] * 15)
    prepare = make_column_transformer((OneHotEncoder(), ["b"]), (SimpleImputer(), ["a"]))
    scoring = make_scorer(recall_score, pos_label="yes")
    model = AugmentedClassifier(make_pipeline(prepare, GaussianNB()), quick(), "auto", scoring)
    model.fit(frame, y)
    assert "missing values" in model.left_out_["smote"]
    assert "the score" in model.amount_choice_.reason


@pytest.mark.usefixtures("untried")
def test_the_same_seed_chooses_and_predicts_the_same(blobs, quick):
    X, y = blobs
    one, two = (
        AugmentedClassifier(LogisticRegression(), quick(), "auto").fit(X, y) for _ in range(2)
    )
    assert one.amount_choice_ == two.amount_choice_
    assert (one.predict_proba(X) == two.predict_proba(X)).all()


@pytest.mark.usefixtures("untried")
def test_groups_stay_on_one_side_of_the_folds_of_auto(blobs, quick):
    X, y = blobs
    order = np.argsort(y, kind="stable")
    X, y, groups = X[order], y[order], np.arange(120) // 4
    whole = {tuple(x): g for x, g in zip(X, groups, strict=True)}
    seen = []

    class Watching(GaussianNB):
        def fit(self, X, y):
            seen.append(
                Counter({tuple(x): whole[tuple(x)] for x in X if tuple(x) in whole}.values())
            )
            return super().fit(X, y)

    AugmentedClassifier(Watching(), quick(), "auto").fit(X, y, groups=groups)
    assert {n for rows in seen for n in rows.values()} == {4}
    assert min(len(rows) for rows in seen) < 30 == len(seen[-1])


@pytest.mark.usefixtures("untried")
def test_groups_reach_the_generators_too(blobs, quick, monkeypatch):
    X, y = blobs
    groups, seen = np.arange(120) // 2, []
    fit = TabularGAN.fit

    def watched(self, data, **more):
        seen.append(data.groups)
        return fit(self, data, **more)

    monkeypatch.setattr(TabularGAN, "fit", watched)
    model = AugmentedClassifier(GaussianNB(), quick(), Amount("gan", 1.0))
    model.fit(X, y, groups=groups)
    assert [held.tolist() for held in seen] == [groups.tolist()]


@pytest.mark.usefixtures("untried")
@pytest.mark.parametrize("kept", [True, False])
def test_training_that_diverges_in_a_fold_does_not_end_auto(blobs, quick, monkeypatch, kept):
    X, y = blobs
    fit = TabularGAN.fit

    def diverging(self, data, **more):
        if kept or len(data) == 120:
            fit(self, data, **more)
        if len(data) < 120:
            raise DivergedError("not finite")
        return self

    monkeypatch.setattr(TabularGAN, "fit", diverging)
    model = AugmentedClassifier(GaussianNB(), quick(), "auto").fit(X, y)
    assert model.left_out_ == ({} if kept else {"gan": "not finite"})


@pytest.mark.usefixtures("untried")
def test_auto_trains_no_generator_where_nothing_can_be_added(blobs, quick):
    X, y = blobs
    even = np.concatenate([np.flatnonzero(y == 0)[:24], np.flatnonzero(y == 1)])
    model = AugmentedClassifier(GaussianNB(), quick(), "auto").fit(X[even], y[even])
    assert model.amount_ == NOTHING
    assert not hasattr(model.augmenter_, "synthesizer_")


@pytest.mark.usefixtures("untried")
@pytest.mark.slow
def test_pictures_are_topped_up_by_any_amount(pictures, quick):
    from sklearn.preprocessing import FunctionTransformer

    X, y = pictures
    flat = FunctionTransformer(lambda x: np.asarray(x).reshape(len(x), -1))
    model = AugmentedClassifier(make_pipeline(flat, KNeighborsClassifier(1)), quick())
    for amount in (Amount("smote", 1.0), Amount("gan", 1.0), "auto"):
        model.set_params(amount=amount).fit(X, y)
        assert model.predict(X[:3]).tolist() == y[:3].tolist()


@pytest.mark.usefixtures("untried")
def test_where_nothing_is_to_be_generated_no_generator_is_trained(blobs, quick):
    X, y = blobs
    for amount in (Amount("gan", 1.0), "auto"):
        model = AugmentedClassifier(GaussianNB(), quick(synthetic_share=0), amount).fit(X, y)
        assert not hasattr(model.augmenter_, "synthesizer_")
    assert {a.source for a in model.amount_choice_.mean} == {"none", "repeats", "smote"}


@pytest.mark.slow
def test_auto_with_trials_sees_no_held_out_row_of_a_cross_validation(monkeypatch):
    rng = np.random.default_rng(1)
    y = rng.permutation([0] * 96 + [1] * 40)
    X = rng.normal(size=(136, 2)) + 1.2 * y[:, None]
    seen, fit = set(), TabularGAN.fit

    def watched(self, data, **more):
        seen.update(map(tuple, data.frame.to_numpy()))
        return fit(self, data, **more)

    monkeypatch.setattr(TabularGAN, "fit", watched)
    rows = np.arange(100), np.arange(100, 136)
    augmenter = GANAugmenter(steps=4, n_jobs=1, random_state=0)
    model = AugmentedClassifier(LogisticRegression(), augmenter, "auto")
    found = cross_validate(model, X, y, cv=[rows], return_estimator=True, error_score="raise")
    assert seen == set(map(tuple, X[:100]))
    assert found["estimator"][0].augmenter_.synthesizer_.meta_.trials
