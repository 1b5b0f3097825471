"""Pipelines: the accepted `Pipeline`, one model per fold with memory, routing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from imblearn.pipeline import Pipeline as ImbalancedPipeline
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline as plain_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from gan_augment import AugmentedClassifier, GANAugmenter, make_pipeline
from gan_augment.sklearn_api import Pipeline


def test_only_the_pipeline_of_imbalanced_learn_takes_a_sampler(numbers) -> None:
    assert Pipeline is ImbalancedPipeline
    plain = plain_pipeline(StandardScaler(), GANAugmenter(), LogisticRegression())
    with pytest.raises(TypeError, match="All intermediate steps should be transformers"):
        plain.fit(*numbers)


def test_rows_are_added_in_fit_and_never_in_predict(quick, numbers) -> None:
    X, y = numbers
    model = make_pipeline(StandardScaler(), quick(), LogisticRegression()).fit(X, y)
    assert model.predict(X).shape == y.shape
    assert model[1].synthetic_mask_.sum() == 10
    assert 0.7 < model.score(X, y) <= 1


def test_the_features_recipe_works_in_pipelines_and_the_augmented_classifier() -> None:
    rng = np.random.default_rng(0)
    y = np.repeat(["few", "one", "two"], [14, 40, 50])
    X = np.maximum(rng.normal(size=(104, 128)) + (y == "few")[:, None], 0)
    augmenter = GANAugmenter(recipe="features")
    model = make_pipeline(StandardScaler(), augmenter, LogisticRegression(C=0.01)).fit(X, y)
    assert model[1].synthetic_mask_.sum() == 23
    assert cross_val_score(model, X, y, cv=2).mean() > 0.5
    whole = AugmentedClassifier(LogisticRegression(C=0.01), augmenter).fit(X, y)
    assert set(whole.predict(X)) == set(y)


def test_a_grid_over_the_classifier_trains_one_model_a_fold(
    quick, numbers, trained_on, tmp_path
) -> None:
    pipeline = make_pipeline(
        StandardScaler(), quick(), LogisticRegression(), memory=str(tmp_path / "cache")
    )
    grid = {"logisticregression__C": np.geomspace(0.01, 100, 12)}
    search = GridSearchCV(pipeline, grid, cv=StratifiedKFold(3), refit=False)
    search.fit(*numbers)
    assert len(search.cv_results_["params"]) == 12
    assert sorted(map(len, trained_on)) == [26, 27, 27]
    search.fit(*numbers)
    assert len(trained_on) == 3, "a second search finds every fold in the cache"


def test_a_grid_over_the_augmenter_works_and_caches_every_setting(
    quick, numbers, trained_on, tmp_path
) -> None:
    pipeline = Pipeline(
        [("augment", quick()), ("classify", LogisticRegression())], memory=str(tmp_path / "cache")
    )
    for share in (0.5, 0.75, 0.5):
        pipeline.set_params(augment__synthetic_share=share).fit(*numbers)
    assert len(trained_on) == 2
    grid = {"augment__synthetic_share": [0, 0.5], "augment__sampling_strategy": ["auto", {1: 20}]}
    search = GridSearchCV(pipeline, grid, cv=2, scoring="balanced_accuracy").fit(*numbers)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@pytest.mark.campaign
def test_processes_of_a_search_take_one_thread_each(numbers, quick) -> None:
    pipeline = make_pipeline(quick(n_jobs=None), LogisticRegression())
    alone = cross_val_score(pipeline, *numbers, cv=2)
    assert cross_val_score(pipeline, *numbers, cv=2, n_jobs=2).tolist() == alone.tolist()


def test_a_frame_with_gaps_and_texts_goes_through_to_encoders(quick, numbers) -> None:
    values, y = numbers
    X = pd.DataFrame(values, columns=list("abc")).mask(values > 2)
    X["word"] = np.where(y == 1, "rare", "common")
    encode = ColumnTransformer(
        [("words", OneHotEncoder(sparse_output=False), ["word"])], remainder="passthrough"
    ).set_output(transform="pandas")
    model = make_pipeline(quick(), encode, HistGradientBoostingClassifier(max_iter=5)).fit(X, y)
    assert model.predict(X).shape == y.shape


def test_set_output_and_feature_names_pass_the_augmenter(quick, numbers) -> None:
    values, y = numbers
    X = pd.DataFrame(values, columns=["a", "b", "c"])
    model = make_pipeline(StandardScaler(), quick(), StandardScaler(), LogisticRegression())
    model.set_output(transform="pandas").fit(X, y)
    assert model[:-1].get_feature_names_out().tolist() == ["a", "b", "c"]
    assert model[1].feature_names_in_.tolist() == ["a", "b", "c"]
    assert model[-1].feature_names_in_.tolist() == ["a", "b", "c"]


def test_metadata_routing_passes_the_augmenter(quick, numbers) -> None:
    from sklearn import config_context

    X, y = numbers
    with config_context(enable_metadata_routing=True):
        classifier = LogisticRegression().set_score_request(sample_weight=True)
        model = make_pipeline(StandardScaler(), quick(), classifier).fit(X, y)
        assert 0 < model.score(X, y, sample_weight=np.ones(len(y))) <= 1
        assert list(quick().get_metadata_routing().fit_resample.requests) == []
