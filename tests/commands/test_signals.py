"""Signals through the commands and both faces of Python."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, TensorDataset

from gan_augment import (
    EvaluationOptions,
    FitOptions,
    GANAugmenter,
    ImageGAN,
    Repeats,
    Smote,
    augment_loader,
    read_signals,
)
from gan_augment.commands.augment import augment
from gan_augment.commands.evaluate import evaluate
from gan_augment.commands.fit import fit
from gan_augment.commands.inspect import inspect_data, inspect_run
from gan_augment.commands.sample import sample
from gan_augment.data.signals import from_signals
from gan_augment.errors import DataError, UsageError
from gan_augment.networks.geometry import Geometry
from gan_augment.options import TopUp
from gan_augment.recipes import RECIPES
from gan_augment.training.images import new_discriminator, new_generator

QUICK = {"steps": 4, "device": "cpu", "threads": 1, "selection": False}

KEEP_ALL = FitOptions(selection=False)


def waves(counts=(20, 6), channels=2, length=40, seed=0):
    """(N, channels, length) and labels "calm", "fast": one and three periods."""
    rng = np.random.default_rng(seed)
    time = np.arange(length) / length
    y = np.repeat(["calm", "fast"], counts)
    periods = np.where(y == "calm", 1, 3)[:, None, None]
    phase = rng.uniform(0, 6, (len(y), channels, 1))
    noise = rng.normal(0, 0.1, (len(y), channels, length))
    return (5 + 2 * np.sin(2 * np.pi * periods * time + phase) + noise).astype(np.float32), y


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    x, y = waves()
    path = tmp_path_factory.mktemp("signals") / "waves.npz"
    np.savez(path, x=x, y=y)
    return path


@pytest.fixture(scope="module")
def run(archive):
    out = archive.parent / "run"
    fit(archive, out, FitOptions(**QUICK))
    return out


@pytest.mark.parametrize(
    "name", sorted(n for n, one in RECIPES["image"].items() if not one.generator.from_rows)
)
def test_every_recipe_of_images_makes_networks_of_one_dimension(name):
    geometry, recipe = Geometry.of((1, 40, 2)), RECIPES["image"][name]
    generator = new_generator(recipe, geometry, 2)
    for network in (generator, new_discriminator(recipe, geometry, 2)):
        kernels = [p for n, p in network.named_parameters() if p.ndim == 4 and "constant" not in n]
        assert kernels
        assert {kernel.shape[2] for kernel in kernels} == {1}


@pytest.mark.parametrize("name", ["anchored", "free", "dcgan", "stylegan"])
def test_recipes_train_on_signals_and_give_values_in_their_own_unit(name):
    x, y = waves()
    gan = ImageGAN(recipe=name, classes="all", **QUICK).fit(from_signals(x, y))
    samples = gan.sample({"fast": 3})
    assert samples.values.shape == (3, 2, 40)
    assert x.min() - 0.01 <= samples.values.min() <= samples.values.max() <= x.max() + 0.01


def test_a_saved_model_draws_the_same_signals(run):
    first, second = (ImageGAN.load(run / "model.safetensors").sample({"fast": 5}) for _ in range(2))
    np.testing.assert_array_equal(first.values, second.values)
    assert first.values.mean() > 3


def test_samples_show_waves_above_each_other(run):
    with Image.open(run / "samples.png") as picture:
        assert picture.size[0] > 1000
        blue = (np.asarray(picture) == (29, 98, 178)).all(axis=2)
    assert blue.sum() > 1000


def test_sample_writes_npy_files_that_are_read_again(run, tmp_path):
    result = sample(run, tmp_path / "out", counts={"fast": 3, "calm": 2})
    assert result.unit == "windows"
    read = read_signals(tmp_path / "out")
    assert read.data.counts == {"calm": 2, "fast": 3}
    expected = ImageGAN.load(run / "model.safetensors").sample({"fast": 3}).values
    np.testing.assert_array_equal(read.values[2:], expected)


def test_augment_copies_files_and_adds_windows(tmp_path):
    x, y = waves()
    for row, (values, label) in enumerate(zip(x, y, strict=True)):
        (tmp_path / "data" / label).mkdir(parents=True, exist_ok=True)
        np.save(tmp_path / "data" / label / f"w{row}.npy", values.astype(np.float64))
    out = tmp_path / "out"
    result = augment(
        tmp_path / "data",
        out,
        options=FitOptions(**QUICK),
        top_up=TopUp(synthetic_share=0.5),
        run=tmp_path / "run",
    )
    assert result.counts["fast"] == {"real": 6, "repeat": 7, "synthetic": 7, "companion": 0}
    original = tmp_path / "data" / "fast" / "w20.npy"
    assert (out / "fast" / "w20.npy").read_bytes() == original.read_bytes()
    assert read_signals(out).data.counts == {"calm": 20, "fast": 20}


def test_augment_writes_windows_of_arrays_as_they_were(archive, run, tmp_path):
    augment(archive, tmp_path / "out", model=run, top_up=TopUp(synthetic_share=0.5))
    x, _ = waves()
    np.testing.assert_array_equal(np.load(tmp_path / "out" / "calm" / "row-000003.npy"), x[3])


def test_wav_recordings_are_cut_and_written_as_wav(tmp_path):
    soundfile = pytest.importorskip("soundfile")
    x, y = waves((5, 2), length=100)
    for row, (values, label) in enumerate(zip(x, y, strict=True)):
        (tmp_path / "data" / label).mkdir(parents=True, exist_ok=True)
        path = tmp_path / "data" / label / f"r{row}.wav"
        soundfile.write(path, values.T / 10, 2000, subtype="FLOAT")
    options = FitOptions(window=40, classes="fast", **QUICK)
    out, top_up = tmp_path / "out", TopUp(synthetic_share=0.5)
    augment(tmp_path / "data", out, options=options, top_up=top_up, run=tmp_path / "run")
    values, rate = soundfile.read(out / "fast" / "r5-000001.wav", dtype="float32")
    assert rate == 2000
    np.testing.assert_array_equal(values.T, x[5, :, 40:80] / np.float32(10))
    assert read_signals(out).data.meta.rate == 2000


def test_data_that_does_not_fit_a_model_of_signals_is_told(archive, run, tmp_path):
    with pytest.raises(DataError, match=r"20 samples, 2 channels.*makes windows of 40 samples"):
        augment(archive, tmp_path / "a", model=run, options=FitOptions(window=20))
    np.savez(
        tmp_path / "pixels.npz", x=np.zeros((9, 8, 8), np.uint8), y=["calm"] * 7 + ["fast"] * 2
    )
    with pytest.raises(DataError, match="the data is images, the model makes signals"):
        augment(tmp_path / "pixels.npz", tmp_path / "b", model=run)


@pytest.mark.parametrize("options", [{"image_size": (8, 8)}, {"columns": {"a": "id"}}])
def test_options_of_images_are_refused_for_signals(archive, tmp_path, options):
    with pytest.raises(UsageError, match="not for signals"):
        fit(archive, tmp_path / "run", FitOptions(**QUICK, **options))


def test_match_is_refused_for_signals(archive, run, tmp_path):
    with pytest.raises(UsageError, match="is for images"):
        augment(archive, tmp_path / "out", model=run, match=True)


def test_inspect_tells_windows_and_the_model(archive, run):
    data = inspect_data(archive, FitOptions(window=20))
    assert "52 windows of 2 classes, 20 samples, 2 channels" in data.lines()
    assert "signals: 40 samples, 2 channels" in inspect_run(run).lines()


@pytest.mark.slow
def test_an_evaluation_of_signals_has_smote_and_pictures_of_waves(archive, tmp_path):
    options = EvaluationOptions(fit=FitOptions(**QUICK), folds=2, repeats=1, updates=4, n_jobs=1)
    result = evaluate(archive, tmp_path / "report", options, force=True).evaluation
    arms = set(result.to_dict()["arms"])
    assert {"none", "gan", "smote", "oversample"} <= arms
    assert "trivial_augment" not in arms
    page = (tmp_path / "report" / "report.html").read_text()
    assert page.count("data:image/png") >= 2
    assert "26 signals of 2 classes" in page


def test_smote_and_repeats_of_windows_stay_windows():
    data = from_signals(*waves())
    between = Smote(k_neighbors=3).fit(data).sample({"fast": 5})
    assert between.values.shape == (5, 2, 40)
    assert between.values.min() > 2
    again = Repeats().fit(data).sample({"fast": 6})
    np.testing.assert_allclose(np.sort(again.values, axis=0), np.sort(data.values[20:], axis=0))


@pytest.mark.parametrize("dtype", ["float32", "float64", "int16"])
def test_the_augmenter_gives_signals_back_as_they_came(dtype):
    x, y = waves()
    x = (100 * x).astype(dtype)
    augmenter = GANAugmenter(
        kind="signal", steps=4, options=KEEP_ALL, random_state=0, n_jobs=1, synthetic_share=0.5
    )
    more, labels = augmenter.fit_resample(x, y)
    assert more.dtype == dtype
    assert more.shape == (40, 2, 40)
    np.testing.assert_array_equal(more[:26], x)
    assert sorted(set(labels)) == ["calm", "fast"]


def test_the_augmenter_takes_one_channel_without_its_axis():
    x, y = waves(channels=1)
    augmenter = GANAugmenter(kind="signal", steps=4, options=KEEP_ALL, random_state=0, n_jobs=1)
    assert augmenter.fit_resample(x[:, 0], y)[0].shape[1:] == (40,)


def test_the_augmenter_refuses_what_is_no_signal():
    x, y = waves()
    with pytest.raises(UsageError, match="expected 'auto'"):
        GANAugmenter(kind="wave").fit_resample(x, y)
    with pytest.raises(DataError, match="one length"):
        GANAugmenter(kind="signal").fit_resample([one[:, : 20 + i] for i, one in enumerate(x)], y)
    with pytest.raises(UsageError, match="image_shape"):
        GANAugmenter(kind="signal", image_shape=(8, 8)).fit_resample(x, y)


@pytest.mark.parametrize("channels", [2, 9])
def test_augment_loader_passes_signals_through(channels):
    x, y = waves(channels=channels)
    data = TensorDataset(torch.from_numpy(x), torch.from_numpy((y == "fast").astype(int)))
    augmenter = GANAugmenter(
        kind="signal", steps=4, options=KEEP_ALL, random_state=0, n_jobs=1, synthetic_share=0.5
    )
    loader = augment_loader(
        DataLoader(data, batch_size=10, shuffle=True), augmenter, synthetic_share=0.5, length="all"
    )
    batches = list(loader)
    assert sum(len(labels) for _, labels in batches) == len(loader.dataset) == 40
    assert {tuple(signals.shape[1:]) for signals, _ in batches} == {(channels, 40)}
    drawn = loader.dataset[int(np.flatnonzero(loader.dataset.synthetic_mask)[0])][0]
    assert drawn.dtype == torch.float32
    assert drawn.mean() > 3


def test_augment_loader_takes_a_run_of_signals(run):
    x, y = waves()
    data = TensorDataset(torch.from_numpy(x), torch.from_numpy((y == "fast").astype(int)))
    data.classes = ["calm", "fast"]
    loader = augment_loader(DataLoader(data, shuffle=True), run, synthetic_share=0.5)
    assert next(iter(loader))[0].shape == (1, 2, 40)
    short = TensorDataset(torch.from_numpy(x[..., :30]), data.tensors[1])
    short.classes = data.classes
    with pytest.raises(DataError, match=r"\(2, 40\).*\(2, 30\)"):
        augment_loader(DataLoader(short, shuffle=True), run, synthetic_share=0.5)
