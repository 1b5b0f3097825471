"""Unlabelled rows in the training of a GAN."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from gan_augment import ImageGAN, TabularGAN
from gan_augment.commands.fit import fit, plan_fit
from gan_augment.data.tables.reader import read_frame, unlabelled_table
from gan_augment.errors import DataError, UsageError
from gan_augment.kinds.image import IMAGE
from gan_augment.kinds.kind import Labelled
from gan_augment.options import FitOptions
from gan_augment.recipes import RECIPES, Recipe
from gan_augment.training.parts import GeneratorOutput
from gan_augment.training.step import discriminator_step
from tests.training.toy_runs import table_run


def recipe(data: str, name: str = "semi-supervised") -> Recipe:
    values = RECIPES[data][name].model_dump() | {"batch": 16}
    values["generator"] |= {"code": 8, "embedding": 4, "width": 16, "max_width": 16}
    values["discriminator"] |= {"width": 32, "max_width": 32}
    return Recipe.model_validate(values)


def images(counts, names, seed: int = 0) -> Labelled:
    """Dark and bright noise of 8 x 8 px."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    pixels = rng.integers(0, 60, (len(labels), 8, 8, 1)) + 150 * (labels % 2)[:, None, None, None]
    ids = np.array([f"row-{i}" for i in range(len(labels))])
    return IMAGE.of(pixels.astype(np.uint8), labels, ids, class_names=names)


def frame(n: int, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 5 == 0
    return pd.DataFrame({"a": rng.normal(size=n) + 4 * y, "b": rng.normal(size=n)}), y


def fitted_table(**more) -> TabularGAN:
    x, y = frame(80)
    read = read_frame(x, y=np.where(y, "rare", "common"))
    gan = TabularGAN(recipe=recipe("table"), steps=120, device="cpu", threads=1)
    return gan.fit(read.table, schema=read.schema, **more)


def test_a_batch_holds_as_many_unlabelled_rows_and_d_calls_them_real():
    logits = []
    for known in (True, False):
        run = table_run(**recipe("table").model_dump())
        odd = torch.full((30, run.batches._rows.shape[1]), 3.0)
        run.batches._unlabelled = odd if known else None
        batch = run.batches.at(0, 0)
        assert (batch.unlabelled is None) == (not known)
        fakes = GeneratorOutput(odd[: len(batch.y)])  # what the unlabelled rows are mistaken for
        for _ in range(300):
            discriminator_step(run.state, run.parts, batch, fakes)
        logits.append(run.state.discriminator(odd[: len(batch.y)], batch.y)[:, 0].mean().item())
    assert batch.x.shape == fakes.x.shape
    assert logits[0] > logits[1] + 1


def test_unlabelled_rows_change_what_is_learned_and_the_fingerprint():
    x, _ = frame(60, seed=2)
    more = unlabelled_table(x)
    with_more, alone = fitted_table(unlabelled=more), fitted_table()
    assert with_more.meta_.data_sha256 != alone.meta_.data_sha256
    first, second = (gan.sample({"rare": 20}).frame["a"].to_numpy() for gan in (with_more, alone))
    assert not np.array_equal(first, second)


@pytest.mark.parametrize(
    ("asked", "wide", "error", "says"),
    [
        ("free", 1, UsageError, "class of every row"),
        (recipe("image"), 2, DataError, "unlabelled images have the shape"),
    ],
)
def test_recipes_without_use_for_unlabelled_rows_and_other_shapes_are_refused(
    asked, wide, error, says
):
    more = images([10], ("unlabelled",))
    pixels = np.repeat(more.pixels, wide, axis=2)
    gan = ImageGAN(recipe=asked, steps=20, device="cpu", threads=1, selection=False)
    with pytest.raises(error, match=says):
        gan.fit(
            images([40, 12], ("dark", "bright")),
            unlabelled=IMAGE.of(pixels, more.labels, more.ids, class_names=more.names),
        )


@pytest.mark.slow
def test_a_run_reads_a_flat_folder_of_unlabelled_images_and_resumes_with_it(tmp_path):
    data = images([40, 12], ("dark", "bright"))
    for pixels, label, name in zip(data.pixels, data.labels, data.ids, strict=True):
        folder = tmp_path / "photos" / data.names[label]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels[..., 0]).save(folder / f"{name}.png")
    (tmp_path / "more" / "deep").mkdir(parents=True)
    for i, pixels in enumerate(images([9], ("unlabelled",), seed=3).pixels):
        Image.fromarray(pixels[..., 0]).save(
            tmp_path / "more" / ("deep" if i % 2 else "") / f"{i}.png"
        )
    options = FitOptions(
        recipe=recipe("image"),
        steps=20,
        unlabelled=str(tmp_path / "more"),
        device="cpu",
        threads=1,
        selection=False,
        classes=("bright",),
    )
    plan = plan_fit(tmp_path / "photos", options)
    assert len(plan.data.unlabelled) == 9
    result = fit(tmp_path / "photos", tmp_path / "run", options)
    again = fit(tmp_path / "photos", tmp_path / "run", resume=True)
    assert result.steps == again.steps == 20
    (tmp_path / "empty").mkdir()
    empty = options.model_copy(update={"unlabelled": str(tmp_path / "empty")})
    with pytest.raises(DataError, match="holds no image file"):
        plan_fit(tmp_path / "photos", empty)


def test_an_unlabelled_file_may_hold_the_target_and_nothing_of_it_is_looked_at(tmp_path):
    x, y = frame(60)
    x.assign(ill=np.where(y, "yes", "no")).to_csv(tmp_path / "rows.csv", index=False)
    x.to_csv(tmp_path / "without.csv", index=False)
    x.assign(ill="?").to_csv(tmp_path / "with.csv", index=False)
    x.drop(columns="a").to_csv(tmp_path / "odd.csv", index=False)
    values = {"target": "ill", "recipe": recipe("table"), "steps": 20}
    for name in ("without", "with"):
        options = FitOptions(unlabelled=str(tmp_path / f"{name}.csv"), **values)
        fit(tmp_path / "rows.csv", tmp_path / name, options)
    one, other = ((tmp_path / name / "samples.csv").read_text() for name in ("without", "with"))
    assert one == other
    options = FitOptions(unlabelled=str(tmp_path / "odd.csv"), **values)
    with pytest.raises(DataError, match="schema"):
        fit(tmp_path / "rows.csv", tmp_path / "odd", options)
