"""`AugmentedDataset`: its items, transforms and refusals."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Subset, TensorDataset
from torch_items import Items

from gan_augment import (
    AugmentedDataset,
    ImageGAN,
    Repeats,
    Smote,
    TabularGAN,
    TopUp,
)
from gan_augment.data.topup_plan import plan_topup
from gan_augment.errors import (
    DataError,
    NoRareClassError,
    TooFewAcceptedError,
    UnknownClassError,
    UsageError,
)
from gan_augment.kinds.image import IMAGE
from gan_augment.torch_api.read import describe_dataset

COUNTS = {"0": 40, "3": 12, "7": 4}  # of the dataset `images`

pytestmark = pytest.mark.usefixtures("global_generators_stay")


class Reluctant(Repeats):
    """Refuses one class."""

    def sample(self, counts, random_state=0):
        if "3" in counts:
            raise TooFewAcceptedError("class '3': 1 of 100 accepted")
        return super().sample(counts, random_state)


def test_real_items_come_first_and_generated_ones_are_the_models_own(images, gan: ImageGAN):
    data = AugmentedDataset(images, gan, classes=["7"], companions=False, random_state=5)
    assert all(torch.equal(data[i][0], images[i][0]) for i in range(len(images)))
    assert (data.origin[: len(images)] == "real").all()
    rows = np.flatnonzero(data.synthetic_mask)
    shown = np.stack([image.numpy() for image, _ in data.__getitems__(rows.tolist())])
    expected = gan.sample({"7": len(rows)}, random_state=5).pixels.transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(np.rint(shown * 255).astype(np.uint8), expected)
    for image, label in data:
        assert (image.shape, image.dtype) == (images[0][0].shape, images[0][0].dtype)
        assert (label.dtype, label.shape) == (torch.int64, ())
    assert [int(label) for _, label in data] == data.targets.tolist()


def test_classes_end_as_the_plan_says(images, gan: ImageGAN):
    data = AugmentedDataset(images, gan, to="majority", classes="all")
    for name, end in plan_topup(COUNTS, TopUp(), ["0", "3", "7"]).items():
        assert data.counts[name] == end.origins
    for code, name in enumerate(data.classes):
        for origin, n in data.counts[name].items():
            assert int(((data.labels == code) & (data.origin == origin)).sum()) == n
    assert len(data) == sum(sum(origins.values()) for origins in data.counts.values())


def test_repeats_are_real_items_of_their_class(images):
    gan = ImageGAN(steps=2, selection=False)
    data = AugmentedDataset(images, gan, synthetic_share=0)
    assert not hasattr(gan, "classes_"), "nothing is fitted if nothing is generated"
    real = {int(y): [x for x, z in images if z == y] for y in (0, 3, 7)}
    repeats = np.flatnonzero(data.origin == "repeat")
    assert len(repeats) == 36  # class 7 from 4 to 40
    for image, label in (data[int(i)] for i in repeats):
        assert any(torch.equal(image, one) for one in real[int(label)])
    seen = [sum(torch.equal(data[int(i)][0], one) for i in repeats) for one in real[7]]
    assert seen == [9, 9, 9, 9]


def test_an_index_beyond_the_end_is_an_index_error(images):
    data = AugmentedDataset(images, Repeats())
    assert len(list(data)) == len(data)
    for index in (len(data), -len(data) - 1):
        with pytest.raises(IndexError):
            data[index]
        with pytest.raises(IndexError):
            data.__getitems__([index])
    with pytest.raises(TypeError):
        data["first"]


def test_the_classes_that_the_model_was_fitted_to_top_up_are_topped_up(images):
    class Fitted(Repeats):
        def fit(self, data):
            self.topped_up_ = ("3",)
            return super().fit(data)

    model = Fitted()
    for _ in range(2):  # fitted here, and fitted before
        data = AugmentedDataset(images, model)
        assert (data.counts["3"]["synthetic"], data.counts["7"]["repeat"]) == (14, 0)
    for given in (7, ["7"], "7", np.array([7]), torch.tensor([7])):
        assert AugmentedDataset(images, model, classes=given).counts["7"]["repeat"] > 0
    model.topped_up_ = ("0", "3", "7")  # all of them: nothing was chosen
    data = AugmentedDataset(images, model)
    assert data.counts["3"]["repeat"] == 0 < data.counts["7"]["synthetic"]


def test_a_run_folder_is_taken(images, gan: ImageGAN, tmp_path: Path):
    gan.save(tmp_path / "run" / "model.safetensors")
    ours, theirs = AugmentedDataset(images, gan), AugmentedDataset(images, tmp_path / "run")
    assert torch.equal(ours[len(ours) - 1][0], theirs[len(theirs) - 1][0])


def test_a_run_that_knows_names_fits_a_dataset_with_classes(images):
    pixels = describe_dataset(images).read()
    names = ("crow", "jay", "rook")
    model = Repeats().fit(IMAGE.of(pixels.pixels, pixels.labels, pixels.ids, None, names))
    folder = Items([(x, [0, 3, 7].index(int(y))) for x, y in images], classes=list(names))
    data = AugmentedDataset(Subset(folder, range(len(folder))), model, classes=["rook"])
    assert data.classes == names
    assert data.counts["rook"]["synthetic"] > 0
    assert data[len(data) - 1][1] == 2


def test_dicts_of_pil_images(images, gan: ImageGAN):
    def picture(x: torch.Tensor) -> Image.Image:
        return Image.fromarray((x[0] * 255).round().byte().numpy())

    items = Items([{"foto": picture(x), "class": str(int(y)), "path": "p"} for x, y in images])
    keys = ("foto", "class")
    with pytest.raises(UsageError, match="image and label only"):
        AugmentedDataset(items, gan, keys=keys)
    assert AugmentedDataset(items, gan, keys=keys, synthetic_share=0).counts["7"]["repeat"] == 36
    for item in items.items:
        del item["path"]
    data = AugmentedDataset(items, gan, keys=keys, transform=lambda image: image.rotate(90))
    for item in (data[0], data[-1]):
        assert item["foto"].size == (8, 8)
    assert data[-1]["class"] == "7"


def test_larger_items_get_generated_ones_of_their_size(gan: ImageGAN):
    items = Items([(Image.new("L", (40 + i % 3, 30)), y) for i, y in enumerate([0] * 20 + [7] * 3)])
    with pytest.warns(UserWarning, match="sharpness"):
        data = AugmentedDataset(items, gan)
    assert data[-1][0].size == (41, 30)


def test_vectors_are_topped_up_as_a_table():
    x, y = torch.randn(60, 3), torch.tensor([0.0] * 50 + [1.0] * 10)
    for augmenter in (Smote(), TabularGAN(steps=2, device="cpu", threads=1), Repeats()):
        data = AugmentedDataset(TensorDataset(x, y), augmenter)
        assert data.counts["1"]["synthetic"] == 20
        row, label = data[-1]
        assert (row.shape, row.dtype) == ((3,), torch.float32)
        assert torch.equal(label, torch.tensor(1.0))


def test_a_refused_class_is_filled_with_repeats_and_one_warning(images):
    with pytest.warns(UserWarning, match="1 of 100 accepted") as caught:
        data = AugmentedDataset(images, Reluctant(), classes="all")
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert data.refused == {"3": "class '3': 1 of 100 accepted"}
    assert data.counts["3"] == {"real": 12, "repeat": 28, "synthetic": 0, "companion": 0}
    assert data.counts["7"]["synthetic"] == 18
    assert [int(y) for _, y in data] == data.targets.tolist()


def test_a_pickle_holds_the_rows_and_no_model(images, gan: ImageGAN):
    data = AugmentedDataset(images, gan)
    content = pickle.dumps(data)
    assert b"ImageGAN" not in content
    again = pickle.loads(content)  # noqa: S301
    assert torch.equal(again[-1][0], data[-1][0])
    assert again.counts == data.counts


REFUSED = {
    "to": (lambda d: d, {"to": "top"}, UsageError, "'top'"),
    "seed": (lambda d: d, {"random_state": -1}, UsageError, "random_state"),
    "class": (lambda d: d, {"classes": [9]}, UnknownClassError, "'9'"),
    "balanced": (
        lambda d: TensorDataset(d.tensors[0], torch.arange(56) % 2),
        {},
        NoRareClassError,
        r"classes='all'",
    ),
}


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_arguments_that_make_no_sense_are_refused(name: str, images):
    wrap, settings, error, message = REFUSED[name]
    with pytest.raises(error, match=message):
        AugmentedDataset(wrap(images), Repeats(), **settings)


@pytest.mark.parametrize("augmenter", [None, 3, ImageGAN, "no/such/run"])
def test_anything_that_cannot_sample_is_refused(augmenter: object, images):
    with pytest.raises(ValueError, match="expected"):
        AugmentedDataset(images, augmenter)


def test_a_model_of_other_data_is_refused(
    images, gan: ImageGAN, make_images: Callable[..., TensorDataset]
):
    x, y = images.tensors
    vectors = TensorDataset(torch.rand(56, 5), y)
    table = Repeats().fit(describe_dataset(vectors).read())
    for dataset, model, key in (
        (images, table, "images of 1 channels"),
        (vectors, gan, r"shape \(5,\)"),
        (make_images(3), gan, "images of 3 channels"),
        (TensorDataset(torch.rand(56, 4), y), table, r"shape \(4,\)"),
        (TensorDataset(x, torch.where(y == 7, 8, y)), gan, "not '8'"),
    ):
        with pytest.raises(DataError, match=key):
            AugmentedDataset(dataset, model)


def test_real_and_generated_items_are_transformed_and_the_dataset_stays(images, gan: ImageGAN):
    items = Items([{"image": x.clone(), "label": int(y)} for x, y in images])
    data = AugmentedDataset(items, gan, transform=lambda image: image + 2)
    for origin in ("real", "repeat", "synthetic"):
        rows = np.flatnonzero(data.origin == origin).tolist()
        assert all(float(item["image"].min()) >= 2 for item in data.__getitems__(rows))
    assert all(torch.equal(a["image"], x) for a, (x, _) in zip(items.items, images, strict=True))
