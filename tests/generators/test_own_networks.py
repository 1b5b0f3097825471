"""Networks of the user's own: trained, resumed, saved, and loaded only where that is allowed."""

from __future__ import annotations

import pickle
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from gan_augment import ImageGAN
from gan_augment.commands.augment import augment
from gan_augment.commands.sample import sample
from gan_augment.errors import UsageError
from gan_augment.machine import compute_config
from gan_augment.recipes import Recipe, resolve_recipe
from gan_augment.training.images import build
from gan_augment.training.parts import state_arrays
from tests.training.test_loop import equal, resumed_as_whole
from tests.training.toy_runs import image_run

pytestmark = pytest.mark.usefixtures("quick_scoring")

DOCS = Path(__file__).parents[2] / "docs" / "recipes.md"
SETTINGS = {"steps": 6, "device": "cpu", "threads": 1, "selection": False}


@pytest.fixture(scope="module")
def nets() -> str:
    """The file of the documentation."""
    (shown,) = re.findall(
        r"```python\n(import torch.*?)```", DOCS.read_text(encoding="utf-8"), flags=re.DOTALL
    )
    return shown


@pytest.fixture
def recipe(tmp_path, nets) -> str:
    """The recipe of the documentation, in a folder with its file, for small batches."""
    shown = re.findall(r"```toml\n(.*?)```", DOCS.read_text(encoding="utf-8"), flags=re.DOTALL)
    (tmp_path / "nets.py").write_text(nets, encoding="utf-8")
    (tmp_path / "mine.toml").write_text("batch = 8\n" + shown[-1], encoding="utf-8")
    return str(tmp_path / "mine.toml")


@pytest.fixture
def saved(toy, recipe, tmp_path) -> ImageGAN:
    """A fitted model with networks of its own, also in the folder `model`."""
    gan = ImageGAN(recipe=recipe, **SETTINGS).fit(toy)
    gan.save(tmp_path / "model")
    return gan


def own(folder: Path, text: str, part: str = "generator", kind: str = "free") -> Recipe:
    """A recipe of which one part's network is `Net` of a file with this text."""
    (folder / "own.py").write_text("import torch\nfrom torch import nn\n" + text)
    values = {part: {"network": f"{folder}/own.py:Net"}, "objective": {"reconstruct_only": 0.0}}
    generator = {"kind": kind, "code": 8} | values.get("generator", {})
    return resolve_recipe(Recipe.model_validate(values | {"generator": generator}))


def test_the_recipe_names_the_file_absolutely_with_its_sha256(recipe, tmp_path):
    named = resolve_recipe(recipe)
    assert re.fullmatch(rf"{tmp_path}/nets.py:Decoder [0-9a-f]{{64}}", named.generator.network)
    assert resolve_recipe(named) == named


@pytest.mark.parametrize("kind", ["free", "anchored"])
def test_ten_steps_are_five_saved_loaded_and_five_more(recipe, kind):
    values = resolve_recipe(recipe).model_dump()
    values["generator"] |= {"kind": kind, "code": 8, "encoder_width": 8}
    assert resumed_as_whole(lambda: image_run(**values))


def test_the_same_seed_gives_the_first_weights_of_the_constructor(recipe):
    values = resolve_recipe(recipe).model_dump()
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one, same, other = (image_run(seed=seed, **values).state for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    assert equal(state_arrays(one), state_arrays(same))
    assert not equal(state_arrays(one), state_arrays(other))
    biases = one.discriminator.module.layers[0].bias  # 0 where ours were set
    assert biases.abs().max() > 0


def test_a_saved_model_is_loaded_only_where_its_code_is_allowed(saved, tmp_path):
    made = saved.sample({"bad": 3}).pixels
    with pytest.raises(UsageError, match=r"would run .*nets.py:Decoder.*allow_code=True"):
        ImageGAN.load(tmp_path / "model")
    loaded = ImageGAN.load(tmp_path / "model", device="cpu", threads=1, allow_code=True)
    np.testing.assert_array_equal(loaded.sample({"bad": 3}).pixels, made)
    with pytest.raises(UsageError, match="a pickle or a copy is never loaded"):
        pickle.loads(pickle.dumps(saved))  # noqa: S301


def test_selection_comes_back_with_a_discriminator_of_its_own(make_images, recipe, tmp_path):
    data = make_images({"good": 60, "bad": 10})
    gan = ImageGAN(recipe=recipe, **{**SETTINGS, "selection": True}).fit(data)
    gan.save(tmp_path / "model")
    loaded = ImageGAN.load(tmp_path / "model", device="cpu", threads=1, allow_code=True)
    for made, again in zip(gan.judged_block("bad", 0), loaded.judged_block("bad", 0), strict=True):
        np.testing.assert_array_equal(made, again)


def test_a_file_that_changed_is_not_run(saved, tmp_path):
    (tmp_path / "nets.py").write_text("raise SystemExit('it ran')\n")
    _forget()
    with pytest.raises(UsageError, match=r"nets\.py has changed since it was named"):
        ImageGAN.load(tmp_path / "model", allow_code=True)


def _forget() -> None:
    """Let this process be as a new one, which has run no file."""
    for name in [name for name in sys.modules if name.startswith("gan_augment_own_")]:
        del sys.modules[name]


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_sampling_and_topping_up_from_a_run_ask_for_it(toy, saved, tmp_path, workers):
    run, counts = tmp_path / "model", {"bad": 70}
    np.savez(tmp_path / "toy.npz", x=toy.pixels, y=np.array(toy.names)[toy.labels])
    for call in (
        lambda **allowed: sample(run, tmp_path / "out", counts=counts, workers=workers, **allowed),
        lambda **allowed: augment(tmp_path / "toy.npz", tmp_path / "up", model=run, **allowed),
    ):
        with pytest.raises(UsageError, match="--allow-code"):
            call()
        assert call(allow_code=True).counts["bad"]
    assert len([*(tmp_path / "out" / "bad").iterdir()]) == 70


@pytest.mark.parametrize(
    ("part", "text", "said"),
    [
        ("generator", "Net = lambda **_: 3\n", "returned int; expected a torch.nn.Module"),
        (
            "generator",
            "def Net(size): pass\n",
            r"Net\(shape=\(8, 8, 1\), classes=2, code=8, ",
        ),
        (
            "generator",
            "class Net(nn.Module):\n    def __init__(self, **_): super().__init__()\n"
            "    def forward(self, z, y): return z\n",
            r"shape \(2, 8\) and .* into \(2, 8\); expected \(2, 1, 8, 8\), an image",
        ),
        (
            "discriminator",
            "class Net(nn.Module):\n    def __init__(self, **_): super().__init__()\n"
            "    def forward(self, x, y): return x.mean(dim=(2, 3))\n",
            r"shape \(2, 1, 8, 8\) and .* into \(2, 1\); expected \(2,\), a logit",
        ),
        (
            "discriminator",
            "class Net(nn.Module):\n    def __init__(self, **_): super().__init__()\n"
            "    def forward(self, x): return x.mean(dim=(1, 2, 3))\n",
            r"fails on a batch of shape \(2, 1, 8, 8\).*TypeError",
        ),
    ],
)
def test_what_does_not_fit_is_refused_before_the_first_step(tmp_path, part, text, said):
    recipe = own(tmp_path, text, part)
    with pytest.raises(UsageError, match=said):
        build(recipe, (8, 8, 1), 2, compute_config("cpu", "float32", 1))


def test_of_a_table_and_with_a_condition_of_ours_they_are_refused(recipe):
    named = resolve_recipe(recipe).model_dump()
    with pytest.raises(UsageError, match="is for images"):
        Recipe.checked(named | {"data": "table"}, "mine.toml")
    named["discriminator"] |= {"condition": "auxiliary"}
    with pytest.raises(UsageError, match="gives one logit a row"):
        Recipe.checked(named, "mine.toml")
