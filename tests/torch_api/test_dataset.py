"""`AugmentedDataset`: what it holds, of which kind, and what it refuses."""

from __future__ import annotations

import copy
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Subset, TensorDataset
from torch_items import Items

from gan_augment import AugmentedDataset, ImageGAN, Repeats, Smote, TabularGAN, TopUp
from gan_augment.data.topup_plan import plan_topup
from gan_augment.data.torch_datasets import read_dataset
from gan_augment.errors import (
    DataError,
    NoRareClassError,
    TooFewAcceptedError,
    UnknownClassError,
    UsageError,
)
from gan_augment.kinds.image import IMAGE

COUNTS = {"0": 40, "3": 12, "7": 4}  # of the dataset `images`

pytestmark = pytest.mark.usefixtures("global_generators_stay")


class Reluctant(Repeats):
    """Refuses one class, by every seed or by all but the first."""

    def __init__(self, refused: str, later: bool = False) -> None:
        self.refused, self.later = refused, later

    def sample(self, counts, random_state=0):
        if self.refused in counts and not (self.later and random_state == 0):
            raise TooFewAcceptedError(f"class {self.refused!r}: 1 of 100 accepted")
        return super().sample(counts, random_state)


def test_real_items_come_first_and_generated_ones_are_the_models_own(
    images: TensorDataset, gan: ImageGAN
) -> None:
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


def test_classes_end_as_the_plan_says(images: TensorDataset, gan: ImageGAN) -> None:
    data = AugmentedDataset(images, gan, to="majority", classes="all")
    for name, end in plan_topup(COUNTS, TopUp(), ["0", "3", "7"]).items():
        assert data.counts[name] == end.origins
    for code, name in enumerate(data.classes):
        for origin, n in data.counts[name].items():
            assert int(((data.labels == code) & (data.origin == origin)).sum()) == n
    assert len(data) == sum(sum(origins.values()) for origins in data.counts.values())


def test_repeats_are_real_items_of_their_class(images: TensorDataset, gan: ImageGAN) -> None:
    data = AugmentedDataset(images, gan, synthetic_share=0)
    real = {int(y): [x for x, z in images if z == y] for y in (0, 3, 7)}
    repeats = np.flatnonzero(data.origin == "repeat")
    assert len(repeats) == 36  # class 7 from 4 to 40
    for image, label in (data[int(i)] for i in repeats):
        assert any(torch.equal(image, one) for one in real[int(label)])
    seen = [sum(torch.equal(data[int(i)][0], one) for i in repeats) for one in real[7]]
    assert seen == [9, 9, 9, 9]  # each as often


def test_an_index_beyond_the_end_is_an_index_error(images: TensorDataset) -> None:
    data = AugmentedDataset(images, Repeats())
    assert len(list(data)) == len(data)
    for index in (len(data), -len(data) - 1):
        with pytest.raises(IndexError):
            data[index]
        with pytest.raises(IndexError):
            data.__getitems__([index])
    with pytest.raises(TypeError):
        data["first"]  # type: ignore[index]


@pytest.mark.slow
def test_an_unfitted_augmenter_is_fitted_on_the_items(images: TensorDataset) -> None:
    gan = ImageGAN(steps=2, device="cpu", threads=1, selection=False)
    data = AugmentedDataset(images, gan)
    assert gan.classes_ == COUNTS
    assert data.counts["7"]["synthetic"] == 18


def test_nothing_is_fitted_where_nothing_is_generated(images: TensorDataset) -> None:
    gan = ImageGAN(steps=2, selection=False)
    AugmentedDataset(images, gan, synthetic_share=0)
    assert not hasattr(gan, "classes_")


def test_the_classes_that_the_model_was_fitted_to_top_up_are(images: TensorDataset) -> None:
    class Fitted(Repeats):
        def fit(self, data):
            self.topped_up_ = ("3",)
            return super().fit(data)

    model = Fitted()
    for _ in range(2):  # fitted here, and fitted already
        data = AugmentedDataset(images, model)
        assert (data.counts["3"]["synthetic"], data.counts["7"]["repeat"]) == (14, 0)
    for given in (7, ["7"], [7], "7", 7.0, np.array([7]), {7}, torch.tensor([7])):
        assert AugmentedDataset(images, model, classes=given).counts["7"]["repeat"] == 18
    model.topped_up_ = ("0", "3", "7")  # all of them: nothing was chosen
    data = AugmentedDataset(images, model)
    assert (data.counts["3"]["repeat"], data.counts["7"]["repeat"]) == (0, 18)
    assert data.counts["0"]["companion"] > 0


def test_what_keeps_its_synthesizer_is_taken(images: TensorDataset) -> None:
    class Augmenter:
        def fit(self, X, y=None):
            self.classes_ = np.array([0, 3, 7])  # as scikit-learn has it
            self.generator_ = Repeats().fit(X)
            return self

    augmenter = Augmenter()
    for _ in range(2):
        assert AugmentedDataset(images, augmenter).counts["7"]["synthetic"] == 18


def test_an_augmenter_that_finds_no_rare_class_is_to_be_told(images: TensorDataset) -> None:
    balanced = TensorDataset(images.tensors[0], torch.arange(56) % 2)
    with pytest.raises(NoRareClassError, match=r'classes="all"\)\.$'):
        AugmentedDataset(balanced, ImageGAN(steps=10**6, classes="all"))  # before the fit
    with pytest.raises(NoRareClassError, match=r'classes="all"\)\. Tell the ImageGAN too'):
        AugmentedDataset(balanced, ImageGAN(steps=2, selection=False), classes="all", to=40)


def test_a_run_folder_is_taken(images: TensorDataset, gan: ImageGAN, tmp_path: Path) -> None:
    gan.save(tmp_path / "run" / "model")
    ours, theirs = AugmentedDataset(images, gan), AugmentedDataset(images, tmp_path / "run")
    assert torch.equal(ours[len(ours) - 1][0], theirs[len(theirs) - 1][0])


def test_a_run_that_knows_names_fits_a_dataset_with_classes(images: TensorDataset) -> None:
    pixels = read_dataset(images)[0]
    names = ("crow", "jay", "rook")
    model = Repeats().fit(IMAGE.of(pixels.pixels, pixels.labels, pixels.ids, None, names))
    folder = Items([(x, [0, 3, 7].index(int(y))) for x, y in images])
    folder.classes = list(names)
    data = AugmentedDataset(Subset(folder, range(len(folder))), model, classes=["rook"])
    assert data.classes == names
    assert data.counts["rook"]["synthetic"] == 18
    assert data[len(data) - 1][1] == 2


def test_dicts_of_pil_images(images: TensorDataset, gan: ImageGAN) -> None:
    def picture(x: torch.Tensor) -> Image.Image:
        return Image.fromarray((x[0] * 255).round().byte().numpy())

    items = Items([{"foto": picture(x), "class": str(int(y)), "path": "p"} for x, y in images])
    keys = ("foto", "class")
    with pytest.raises(UsageError, match=r"expected fill={'path'"):
        AugmentedDataset(items, gan, keys=keys)
    assert AugmentedDataset(items, gan, keys=keys, synthetic_share=0).counts["7"]["repeat"] == 36
    data = AugmentedDataset(
        items, gan, keys=keys, fill={"path": None}, transform=lambda image: image.rotate(90)
    )
    for item in (data[0], data[-1]):
        assert item["foto"].size == (8, 8)
    assert list(data[-1].items())[1:] == [("class", "7"), ("path", None)]


def test_larger_items_get_generated_ones_of_their_size(gan: ImageGAN) -> None:
    items = Items([(Image.new("L", (40 + i % 3, 30)), y) for i, y in enumerate([0] * 20 + [7] * 3)])
    with pytest.warns(UserWarning, match="sharpness tells real from generated"):
        data = AugmentedDataset(items, gan)
    assert data[-1][0].size == (41, 30)


def test_vectors_are_topped_up_as_a_table() -> None:
    x, y = torch.randn(60, 3), torch.tensor([0.0] * 50 + [1.0] * 10)
    for augmenter in (Smote(), TabularGAN(steps=2, device="cpu", threads=1), Repeats()):
        data = AugmentedDataset(TensorDataset(x, y), augmenter)
        assert data.counts["1"]["synthetic"] == 20
        assert data.counts["0"]["companion"] == 0  # of tables, by default
        row, label = data[-1]
        assert row.shape == (3,)
        assert row.dtype == torch.float32
        assert torch.equal(label, torch.tensor(1.0))


def test_a_lone_item_is_repeated_with_one_warning(
    make_images: Callable[..., TensorDataset],
) -> None:
    x, y = make_images().tensors
    y = torch.where(torch.arange(56) == 0, 9, torch.where(y == 7, 3, y))
    with pytest.warns(UserWarning, match="filled with repeats") as caught:
        data = AugmentedDataset(TensorDataset(x, y), Repeats(), classes="all")
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert list(data.refused) == ["9"]
    assert data.counts["9"]["synthetic"] == 0
    assert data.counts["9"]["repeat"] == 38


@pytest.mark.parametrize("cached", [False, True])
def test_a_refused_class_is_filled_with_repeats(
    images: TensorDataset, cached: bool, tmp_path: Path
) -> None:
    with pytest.warns(UserWarning, match="1 of 100 accepted") as caught:
        data = AugmentedDataset(
            images, Reluctant("3"), classes="all", cache=tmp_path if cached else None
        )
    assert len(caught) == 1
    assert data.refused == {"3": "class '3': 1 of 100 accepted"}
    assert data.counts["3"] == {"real": 12, "repeat": 28, "synthetic": 0, "companion": 0}
    assert data.counts["7"]["synthetic"] == 18
    assert [int(y) for _, y in data] == data.targets.tolist()


def test_a_class_refused_in_a_later_epoch_keeps_its_first_rows(images: TensorDataset) -> None:
    data = AugmentedDataset(
        images, Reluctant("7", later=True), refresh="epoch", classes=["3", "7"], companions=False
    )
    before = [image for image, _ in data]
    data.set_epoch(1)
    same = np.array([torch.equal(a, b) for a, (b, _) in zip(before, data, strict=True)])
    assert same[data.targets == 7].all()
    assert not same[data.synthetic_mask & (data.targets == 3)].all()


def test_the_model_is_not_in_the_pickle(images: TensorDataset, gan: ImageGAN) -> None:
    data = AugmentedDataset(images, gan, refresh="epoch")
    content = pickle.dumps(data)
    assert b"ImageGAN" not in content
    assert b"synthesizers" not in content
    again = pickle.loads(content)  # noqa: S301
    assert torch.equal(again[-1][0], data[-1][0])
    assert again.counts == data.counts
    with pytest.raises(UsageError, match="has no model"):
        again.set_epoch(1)


def test_a_pickle_holds_neither_pictures_nor_the_tensor_of_labels(gan: ImageGAN) -> None:
    images = TensorDataset(torch.rand(20, 1, 8, 8), torch.tensor([0] * 15 + [7] * 5))
    few, many = (AugmentedDataset(images, gan, classes="7", to=to) for to in (100, 1100))
    assert len(pickle.dumps(many)) - len(pickle.dumps(few)) < 1000 * 80  # some bytes an item
    assert all(label.untyped_storage().nbytes() == 8 for label in many._format.labels)


def test_the_temporary_folder_goes_with_the_dataset(images: TensorDataset) -> None:
    data = AugmentedDataset(images, Repeats())
    folder = data._generated.folder
    twin = copy.copy(data)
    del data
    assert folder.is_dir()
    del twin
    assert not folder.exists()


def test_a_forked_child_leaves_the_folder(images: TensorDataset) -> None:
    data = AugmentedDataset(images, Repeats())
    child = os.fork()
    if child == 0:
        del data
        os._exit(0)
    os.waitpid(child, 0)
    assert data[-1][0].shape == (1, 8, 8)


def test_a_noisy_dataset_is_told_once() -> None:
    class Noisy(Items):
        def __getitem__(self, index):
            return torch.rand(1, 8, 8), index % 5 // 4

    with pytest.warns(UserWarning, match="pass it as transform=") as caught:
        AugmentedDataset(Noisy([0] * 50), Repeats(), classes="1")
    assert len(caught) == 1


REFUSED = {
    "loader": (lambda d: DataLoader(d), {}, UsageError, "augment_loader"),
    "augmented": (lambda d: AugmentedDataset(d, Repeats()), {}, UsageError, "augmented already"),
    "refresh": (lambda d: d, {"refresh": "batch"}, UsageError, "'never' or 'epoch'"),
    "to": (lambda d: d, {"to": "top"}, UsageError, "to = 'top' is refused"),
    "seed": (lambda d: d, {"random_state": -1}, UsageError, "random_state"),
    "class": (lambda d: d, {"classes": [9]}, UnknownClassError, "'9'"),
    "transform": (lambda d: d, {"transform": 3}, UsageError, "expected a callable"),
    "fill": (lambda d: d, {"fill": {2: 0}}, UsageError, "expected fill={}"),
    "balanced": (
        lambda d: TensorDataset(d.tensors[0], torch.arange(56) % 2),
        {},
        NoRareClassError,
        r'classes="all"',
    ),
}


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_makes_no_sense_is_refused(name: str, images: TensorDataset) -> None:
    wrap, settings, error, message = REFUSED[name]
    with pytest.raises(error, match=message):
        AugmentedDataset(wrap(images), Repeats(), **settings)


@pytest.mark.parametrize("augmenter", [None, 3, ImageGAN, "no/such/run"])
def test_what_samples_nothing_is_refused(augmenter: object, images: TensorDataset) -> None:
    with pytest.raises(ValueError, match="expected"):
        AugmentedDataset(images, augmenter)


def test_a_model_of_other_data_is_refused(
    images: TensorDataset, gan: ImageGAN, make_images: Callable[..., TensorDataset]
) -> None:
    vectors = TensorDataset(torch.rand(56, 5), images.tensors[1])
    table = Repeats().fit(read_dataset(vectors)[0])
    with pytest.raises(DataError, match="makes rows of a table"):
        AugmentedDataset(images, table)
    with pytest.raises(DataError, match="makes images"):
        AugmentedDataset(vectors, gan)
    with pytest.raises(DataError, match="images of 1 channels"):
        AugmentedDataset(make_images(3), gan)
    with pytest.raises(DataError, match="5 columns"):
        AugmentedDataset(TensorDataset(torch.rand(56, 4), images.tensors[1]), table)
    x, y = images.tensors
    with pytest.raises(DataError, match="not '8'"):
        AugmentedDataset(TensorDataset(x, torch.where(y == 7, 8, y)), gan)
