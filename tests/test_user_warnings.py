"""Where a warning of the library points."""

from __future__ import annotations

from pathlib import Path

import pytest
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import cross_val_score

import gan_augment
from gan_augment import GANAugmenter, make_pipeline
from gan_augment.generators.gan import compute_config_here

PACKAGE = Path(gan_augment.__file__).parent


@pytest.mark.parametrize("file", [Path("train.py"), PACKAGE.parent / "gan_augment_trial.py"])
def test_it_points_at_the_callers_line_even_in_a_file_beside_the_package(file: Path) -> None:
    script = "\n\ncompute_config_here('cuda:99', 'float32', 1)"
    with pytest.warns(UserWarning, match="cuda:99") as caught:
        exec(compile(script, str(file), "exec"), {"compute_config_here": compute_config_here})  # noqa: S102
    assert [(one.filename, one.lineno) for one in caught] == [(str(file), 3)]


def test_a_pipeline_between_does_not_hide_the_callers_line(
    recwarn: pytest.WarningsRecorder,
) -> None:
    model = make_pipeline(GANAugmenter(sampling_strategy=[2]), DummyClassifier())
    X, y = [[float(row % 5)] for row in range(12)], [0] * 6 + [1] * 5 + [2]
    model.fit(X, y)
    cross_val_score(model, X, y, cv=[(range(12), range(12))], error_score="raise")
    assert {one.filename for one in recwarn if "filled with repeats" in str(one.message)} == {
        __file__
    }
