"""`embed`: what it writes, and what it refuses."""

from __future__ import annotations

import base64
import json
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from gan_augment import EvaluationOptions, FitOptions, FrozenFeatures, UsageError
from gan_augment.commands.embed import EmbedResult, embed
from gan_augment.commands.evaluate import evaluate, plan_evaluation
from gan_augment.errors import OutputExistsError
from gan_augment.networks.backbones import EfficientNetLite0
from gan_augment_cli.app import app
from tests.cli.conftest import write_images

NETWORK = """
import torch

def make():
    network = torch.nn.Conv2d(3, 4, 3)
    torch.nn.init.constant_(network.weight, 0.1)
    torch.nn.init.constant_(network.bias, 0.5)
    return network
"""


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "embed_nets.py").write_text(NETWORK)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    folder = write_images(tmp_path / "photos", {"common": 7, "rare": 3})
    (folder / "rare" / "copy.png").write_bytes((folder / "rare" / "0.png").read_bytes())
    return folder


def embedded(photos: Path, out: Path, **more: bool) -> EmbedResult:
    backbone = "embed_nets:make"
    return embed(photos, out, backbone=backbone, image_size=16, precision="float32", **more)


def test_a_row_an_image_with_its_label_group_and_path(photos: Path, tmp_path: Path) -> None:
    result = embedded(photos, tmp_path / "rows.parquet")
    assert (result.rows, result.features) == (11, 4)
    frame = pd.read_parquet(result.out)
    assert frame.columns.tolist() == ["label", "group", "id", *(f"feature_{i}" for i in range(4))]
    assert frame["label"].value_counts().to_dict() == {"common": 7, "rare": 4}
    assert frame.set_index("id").loc["rare/copy.png", "group"] == "group-000000"
    assert frame["group"].nunique() == 10  # a photo without a copy is a group of its own
    features = FrozenFeatures("embed_nets:make", image_size=16, precision="float32").fit()
    rows = features.transform([photos / id_ for id_ in frame["id"]])
    assert np.array_equal(rows, frame.filter(like="feature_").to_numpy())


def test_an_output_is_replaced_on_request_only(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "rows.parquet"
    embedded(photos, out)
    before = out.read_bytes()
    with pytest.raises(OutputExistsError):
        embedded(photos, out)
    embedded(photos, out, overwrite=True)
    assert out.read_bytes() == before
    with pytest.raises(UsageError, match=r"name a \.parquet file"):
        embedded(photos, tmp_path / "rows.csv")


def test_the_command_embeds_with_the_published_weights(photos: Path, tmp_path: Path) -> None:
    def command(*words: object) -> str:
        done = CliRunner().invoke(app, [str(word) for word in words], prog_name="gan-augment")
        assert done.exit_code == 0, done.stderr
        return done.stdout

    torch.save(EfficientNetLite0().state_dict(), tmp_path / "lite0.pth")
    rows = tmp_path / "rows.parquet"
    words = ("--backbone", tmp_path / "lite0.pth", "--image-size", 32, "--quiet")
    assert command("embed", photos, rows, *words) == f"{rows}\n"
    assert pd.read_parquet(rows).shape == (11, 1283)


def test_the_command_asks_for_a_network(photos: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["embed", str(photos), str(tmp_path / "rows.parquet")])
    assert done.exit_code == 2
    assert "--backbone lite0.pth" in done.stderr


@pytest.mark.slow
def test_evaluate_judges_images_by_their_features(photos: Path, tmp_path: Path) -> None:
    folder = write_images(tmp_path / "more", {"common": 30, "rare": 8})
    words = ("--backbone", "embed_nets:make", "--image-size", 16, "--arms", "oversample")
    how = ("--folds", 2, "--repeats", 1, "--n-jobs", 1, "--no-diagnostics", "--quiet", "--force")
    for learner in ("logistic", "mlp"):
        out = tmp_path / learner
        asked = ["evaluate", folder, *words, *how, "--learner", learner, "--out", out]
        done = CliRunner().invoke(app, [str(word) for word in asked], prog_name="gan-augment")
        assert done.exit_code == 0, done.stderr
        result = json.loads((out / "result.json").read_text())
        assert list(result["arms"]) == ["none", "oversample", "gan"]
    backbone = "embed_nets:make"
    for given, recipe in (({}, "features"), ({"steps": 5}, "auto"), ({"recipe": "free"}, "free")):
        fit = FitOptions(image_size=(16, 16), **given)
        plan = plan_evaluation(folder, EvaluationOptions(fit=fit), features=backbone)
        assert plan.design.generator.recipe == recipe
    options = EvaluationOptions(fit=FitOptions(target="label"))
    with pytest.raises(UsageError, match="features= is for images"):
        evaluate(folder, tmp_path / "no", options, features="embed_nets:make")


@pytest.mark.slow
def test_the_report_of_features_shows_the_nearest_photos_and_says_that_nothing_is_drawn(
    photos: Path, tmp_path: Path
) -> None:
    folder = write_images(tmp_path / "more", {"common": 30, "rare": 8})
    options = EvaluationOptions.checked(
        {"fit": {"image_size": (16, 16)}, "arms": "oversample", "folds": 2, "repeats": 1}, "options"
    )
    backbone = "embed_nets:make"
    run = evaluate(folder, tmp_path / "out", options, features=backbone, force=True)
    shown = run.evaluation.to_dict()["pictures"]
    assert (shown["kind"], shown["height"], shown["width"]) == ("photos", 12, 12)  # their own size
    assert set(shown["classes"]) == {"common", "rare"}
    strip = Image.open(BytesIO(base64.b64decode(shown["classes"]["rare"]["nearest"])))
    assert strip.size == (8 * 13, 12)
    assert "generated" not in shown["classes"]["rare"]
    assert "<b>no image is generated</b>" in (run.out / "report.html").read_text()
