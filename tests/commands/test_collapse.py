"""A generator that is forced to draw one picture a class: what the run does, leaves and says."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import numpy as np
import pytest

from gan_augment.commands.fit import fit
from gan_augment.data.images.png_folder import write_png
from gan_augment.errors import DivergedError
from gan_augment.generators.image_gan import ImageGAN
from gan_augment.options import FitOptions
from gan_augment.training import loop
from gan_augment.training.callbacks import StopRequested

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("full_scorers_in_module")]
LOST = r"3 rollbacks with halved rates: class 'bad' lost its variety"


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """A bright square somewhere, on a dark or a grey ground."""
    folder, rng = tmp_path_factory.mktemp("given") / "parts", np.random.default_rng(0)
    for ground, (name, n) in enumerate({"good": 34, "bad": 10}.items()):
        for i in range(n):
            picture = rng.integers(20, 40, (8, 8, 1)) + 60 * ground
            row, column = rng.integers(0, 6, 2)
            picture[row : row + 3, column : column + 3] += 120
            write_png(folder / name / f"{i}.png", picture.astype(np.uint8))
    return folder


@pytest.fixture(scope="module")
def forced(tmp_path_factory) -> FitOptions:
    """Nothing is decoded for its own sake and codes may not differ: all samples become alike."""
    recipe = tmp_path_factory.mktemp("recipes") / "forced.toml"
    recipe.write_text(
        "generator_optimiser = {rate = 5e-3}\n"
        "objective = {reconstruction = 0.0, code_penalty = 100.0}\n"
    )
    return FitOptions(
        recipe=str(recipe),
        steps=100,
        device="cpu",
        threads=1,
        precision="float32",
        selection=False,
    )


@pytest.fixture(scope="module")
def collapsed(data, forced, tmp_path_factory, full_scorers_in_module) -> Path:
    """The folder of a run that collapsed until it was stopped."""
    run = tmp_path_factory.mktemp("runs") / "run"
    with pytest.raises(DivergedError, match=LOST) as raised:
        fit(data, run, forced)
    assert raised.value.exit_code == 5
    return run


def told(run: Path, kind: str) -> list[dict]:
    events = map(json.loads, (run / "history.jsonl").read_text().splitlines())
    kept = [event for event in events if event["event"] == kind]
    return [{name: v for name, v in event.items() if name != "seconds"} for event in kept]


def test_a_run_that_collapses_for_good_ends_with_its_best_generator_and_says_why(collapsed):
    assert [event["retries"] for event in told(collapsed, "rollback")] == [1, 2, 3]
    assert "'bad'" in told(collapsed, "stop")[0]["reason"]
    kept = ImageGAN.load(collapsed / "model.safetensors")
    assert kept.meta_.score.parts["bad/spread"] > 0.5
    assert kept.sample({"bad": 2}).counts["bad"] == 2
    assert (collapsed / "samples.png").is_file()


def test_a_run_stopped_before_it_collapses_goes_back_as_an_undisturbed_one(
    data, forced, collapsed, tmp_path, monkeypatch
):
    monkeypatch.setattr(loop, "OBSERVE_EVERY_STEPS", 2)  # else no event comes between two scores

    class Stop:
        def on_event(self, event) -> None:
            if (event["event"], event["step"]) == ("step", 18):
                signal.raise_signal(signal.SIGTERM)

    run = tmp_path / "cut"
    with pytest.raises(StopRequested):
        fit(data, run, forced, callbacks=[Stop()])
    with pytest.raises(DivergedError, match=LOST):
        fit(data, run, resume=True)
    for kind in ("score", "rollback"):
        assert told(run, kind) == told(collapsed, kind)
    assert told(run, "stop")[-1] == told(collapsed, "stop")[-1]  # the first is the signal's
    weights = "model.safetensors"
    assert (run / weights).read_bytes() == (collapsed / weights).read_bytes()
