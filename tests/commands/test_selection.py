"""What a fit, `inspect` and `augment` say and do about what selection keeps."""

from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pytest

from gan_augment import TopUp
from gan_augment.commands.augment import augment, plan_augment
from gan_augment.commands.fit import FitResult, fit
from gan_augment.commands.inspect import inspect_run
from gan_augment.generators import load_model
from gan_augment.generators.model_file import UsefulnessRecord
from gan_augment.kinds.image import IMAGE
from gan_augment.options import FitOptions
from gan_augment.recipes import SelectionSettings, resolve_recipe
from gan_augment.storage.bundle import load_bundle, save_bundle
from gan_augment.torch_api.dataset import planned
from tests.commands.conftest import Notes

pytestmark = pytest.mark.slow

EASY = SelectionSettings(label=0, outlier=0, logit=0.4)


@pytest.fixture(scope="module")
def fitted(data_folder, tmp_path_factory) -> FitResult:
    recipe = resolve_recipe("auto").model_copy(update={"selection": EASY})
    options = FitOptions(recipe=recipe, steps=2, device="cpu", threads=1)
    return fit(data_folder, tmp_path_factory.mktemp("selected") / "run", options)


def marked(run: Path, folder: Path, gain: float, *, serves: bool = False) -> Path:
    """The run's model, as if its generated rows had gained so much in every respect.

    serves: as if no class were refused, which says nothing of what would be drawn.
    """
    arrays, meta = load_bundle(run / "model.safetensors", schema=dict)
    if serves:
        for of_class in meta["selection"]["classes"].values():
            of_class["refused"] = None
    found = UsefulnessRecord(
        share=0.5, rare_recall=(gain,) * 3, balanced_accuracy=(gain,) * 3, accuracy=(gain,) * 3,
        seeds=2, updates=90, rows=60, rare_rows=5,
    )  # fmt: skip
    save_bundle(folder / "model.safetensors", arrays, {**meta, "usefulness": found.model_dump()})
    return folder


def test_the_last_lines_of_a_fit_say_what_is_kept_and_what_that_means(fitted, tmp_path):
    text = "\n".join(fitted.lines())
    assert text.startswith("hardly trained: 2 steps")
    assert "bad_part  refused: 'bad_part' has 5 training image" in text
    assert "advised synthetic share: 0, since generated rows were not tried" in text
    assert fitted.to_dict()["found"] == list(fitted.found)
    assert "\n".join(fitted.found) in "\n".join(inspect_run(fitted.run).lines())


def test_a_top_up_by_a_hardly_trained_model_says_so(fitted, data_folder, tmp_path):
    serving = marked(fitted.run, tmp_path / "serving", 0.1, serves=True)
    done = augment(data_folder, tmp_path / "out", model=serving)
    assert any("hardly trained: 2 steps" in text for text in done.warnings)


def test_nothing_is_generated_where_rows_do_not_help_unless_asked(fitted, data_folder, tmp_path):
    hopeless, heard = marked(fitted.run, tmp_path / "run", -0.1), Notes()
    done = augment(data_folder, tmp_path / "out", model=hopeless, progress=heard)
    assert {of["synthetic"] + of["companion"] for of in done.counts.values()} == {0}
    assert done.counts["bad_part"] == {"real": 5, "repeat": 25, "synthetic": 0, "companion": 0}
    assert "did not show" in done.warnings[0]
    plan = plan_augment(data_folder, tmp_path / "planned", model=hopeless)
    assert plan.ends["bad_part"].repeats == 25
    asked = TopUp(synthetic_share=0.5)
    serving = marked(fitted.run, tmp_path / "serving", -0.1, serves=True)
    again = plan_augment(data_folder, tmp_path / "planned", model=serving, top_up=asked)
    assert again.ends["bad_part"].synthetic > 0


def test_the_default_share_is_kept_where_rows_help(fitted, data_folder, tmp_path):
    fine = marked(fitted.run, tmp_path / "run", 0.1, serves=True)
    plan = plan_augment(data_folder, tmp_path / "planned", model=fine)
    end = plan.ends["bad_part"]
    assert end.synthetic - end.repeats in (0, 1)
    assert end.repeats > 0


def test_a_lone_refused_class_is_filled_with_repeats_and_others_get_no_companions(
    fitted, data_folder, tmp_path
):
    fine = marked(fitted.run, tmp_path / "run", 0.1)
    done = augment(data_folder, tmp_path / "out", model=fine)
    assert done.counts["bad_part"] == {"real": 5, "repeat": 25, "synthetic": 0, "companion": 0}
    assert done.counts["good"]["companion"] == 0
    assert "5 training image" in done.refused["bad_part"]


class Facts:
    """A dataset's facts, as far as a plan asks them."""

    counts: ClassVar = {"good": 30, "bad": 10}
    format = SimpleNamespace(picture=SimpleNamespace(kind=IMAGE))


def test_a_loader_follows_the_advice_and_warns(fitted, tmp_path):
    model = load_model(marked(fitted.run, tmp_path / "run", -0.1), device="cpu")
    with pytest.warns(UserWarning, match="advised synthetic share: 0"):
        plan = planned(Facts, TopUp(companions=False), ["bad"], model)
    assert plan["bad"].synthetic == 0
    assert planned(Facts, TopUp(synthetic_share=1.0), ["bad"], model)["bad"].synthetic > 0
