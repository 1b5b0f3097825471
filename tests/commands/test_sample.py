"""Exactly the images asked for, the same bytes whoever draws them."""

import errno

import numpy as np
import pytest
from PIL import Image

from gan_augment.commands import writing
from gan_augment.commands.sample import sample
from gan_augment.data.images.png_folder import read_manifest
from gan_augment.errors import (
    ModelFileError,
    OutputExistsError,
    TooFewAcceptedError,
    UnknownClassError,
    UsageError,
    WriteFailedError,
)
from gan_augment.generators.image_gan import ImageGAN
from gan_augment.training.callbacks import StopRequested
from tests.commands.conftest import contents, files


def test_the_default_brings_the_rare_class_level_with_the_largest(run, tmp_path):
    result = sample(run, tmp_path / "out")
    assert result.counts == {"bad_part": 25}
    assert sum(result.counts.values()) == 25
    assert len(list((tmp_path / "out" / "bad_part").iterdir())) == 25


def test_counts_by_class_are_exact_and_in_the_manifest(run, tmp_path):
    sample(run, tmp_path / "out", counts={"good": 3, "odd": 70, "bad_part": 0})
    rows = read_manifest(tmp_path / "out" / "manifest.csv")
    assert [(r.label, r.index) for r in rows] == [
        *(("good", i) for i in range(3)),
        *(("odd", i) for i in range(70)),
    ]
    assert {r.origin for r in rows} == {"synthetic"}
    written = set(files(tmp_path / "out")) - {"manifest.csv"}
    assert written == {r.path for r in rows}


def test_one_number_is_for_every_class_named(run, tmp_path):
    result = sample(run, tmp_path / "out", counts=2, classes="all")
    assert result.counts == {"bad_part": 2, "good": 2, "odd": 2}


def test_images_are_those_of_the_model_and_marked_synthetic(run, tmp_path):
    sample(run, tmp_path / "out", counts={"odd": 2}, seed=3)
    expected = ImageGAN.load(run / "model.safetensors", threads=1).sample(
        {"odd": 2}, random_state=3
    )
    with Image.open(tmp_path / "out" / "odd" / "000001.png") as image:
        assert image.text["Synthetic"] == "true"
        np.testing.assert_array_equal(np.asarray(image), expected.pixels[1, ..., 0])


def test_the_first_images_are_the_same_however_many_are_drawn(run, tmp_path):
    sample(run, tmp_path / "few", counts={"odd": 10})
    sample(run, tmp_path / "many", counts={"odd": 100, "good": 1})
    few, many = files(tmp_path / "few"), files(tmp_path / "many")
    del few["manifest.csv"]
    assert few.items() <= many.items()


def test_the_seed_changes_the_images(run, tmp_path):
    for seed in (0, 1):
        sample(run, tmp_path / str(seed), counts={"odd": 1}, seed=seed)
    assert files(tmp_path / "0")["odd/000000.png"] != files(tmp_path / "1")["odd/000000.png"]


@pytest.mark.slow
def test_threads_write_the_same_bytes(run, tmp_path):
    counts = {"odd": 130, "good": 70}
    sample(run, tmp_path / "one", counts=counts, workers=1)
    sample(run, tmp_path / "two", counts=counts, workers=2)
    assert files(tmp_path / "one") == files(tmp_path / "two")


def test_a_folder_that_is_not_empty_is_refused_and_kept(run, tmp_path):
    sample(run, tmp_path / "out", counts={"odd": 2})
    with pytest.raises(OutputExistsError):
        sample(run, tmp_path / "out", counts={"odd": 1})
    sample(run, tmp_path / "out", counts={"odd": 1}, overwrite=True)
    assert set(files(tmp_path / "out")) == {"odd/000000.png", "manifest.csv"}


def test_a_misspelt_class_is_named_with_the_nearest(run, tmp_path):
    with pytest.raises(UnknownClassError, match="Did you mean 'odd'"):
        sample(run, tmp_path / "out", counts={"od": 2})
    with pytest.raises(UnknownClassError, match="Did you mean 'good'"):
        sample(run, tmp_path / "out", classes="goood")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("counts", [{"odd": -1}, {"odd": 1.5}, {"odd": True}, 0, {}])
def test_counts_that_make_no_sense_are_refused(run, tmp_path, counts):
    with pytest.raises(UsageError):
        sample(run, tmp_path / "out", counts=counts)


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(ModelFileError, match="there is no"):
        sample(tmp_path / "runs" / "x", tmp_path / "out")
    with pytest.raises(ModelFileError, match="no model"):
        sample(tmp_path, tmp_path / "out")


def test_a_stopped_call_leaves_nothing(run, tmp_path, monkeypatch):
    def stopping(*args, **more):
        raise KeyboardInterrupt

    monkeypatch.setattr(writing, "write_file", stopping)
    with pytest.raises(StopRequested):
        sample(run, tmp_path / "cut", counts={"odd": 130}, workers=1)
    assert list(tmp_path.iterdir()) == []


def test_a_refused_class_leaves_nothing(run, tmp_path, monkeypatch):
    real = ImageGAN.rows

    def picky(self, name, start, stop, random_state=0):
        if name == "odd":
            raise TooFewAcceptedError("odd: 3 of 100 candidates are accepted")
        return real(self, name, start, stop, random_state)

    monkeypatch.setattr(ImageGAN, "rows", picky)
    with pytest.raises(TooFewAcceptedError, match="3 of 100"):
        sample(run, tmp_path / "out", counts={"odd": 100, "good": 2})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
@pytest.mark.parametrize("nth", [1, 2, 4, 6])
def test_a_full_disk_leaves_nothing_and_the_same_call_succeeds(run, tmp_path, refuse, number, nth):
    sample(run, tmp_path / "whole", counts={"odd": 5})
    refuse("write", number, nth)
    with pytest.raises(WriteFailedError):
        sample(run, tmp_path / "out", counts={"odd": 5})
    assert [path.name for path in tmp_path.iterdir()] == ["whole"]
    sample(run, tmp_path / "out", counts={"odd": 5})
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
