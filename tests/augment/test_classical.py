"""The default augmentation: any channels, seeded by its caller alone, gentle, without network."""

import os
import random
import subprocess
import sys

import numpy as np
import pytest
from numpy.typing import NDArray

from gan_augment.augment.classical import augment_batch, default_pipeline, trivial_pipeline
from gan_augment.errors import UsageError


def pictures(shape: tuple[int, int, int], n: int = 6) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, size=(n, *shape), dtype=np.uint8)


@pytest.mark.parametrize("shape", [(8, 8, 1), (9, 12, 2), (16, 8, 3), (20, 20, 4), (10, 11, 6)])
def test_any_channels_keep_their_shape_and_the_caller_its_pixels(
    shape: tuple[int, int, int],
) -> None:
    pixels = pictures(shape)
    before = pixels.copy()
    changed = augment_batch(default_pipeline(shape), pixels, np.random.default_rng(0))
    assert changed.shape == pixels.shape
    assert (pixels == before).all()
    assert (changed != pixels).any()


def test_the_generator_handed_in_is_the_only_source_of_chance() -> None:
    pixels, pipeline = pictures((8, 8, 3)), default_pipeline((8, 8, 3), flips=True)
    state = repr(np.random.get_state()), random.getstate()  # noqa: NPY002
    first, again, other = (
        augment_batch(pipeline, pixels, np.random.default_rng(seed)) for seed in (0, 0, 1)
    )
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()
    assert state == (repr(np.random.get_state()), random.getstate())  # noqa: NPY002


def test_a_picture_is_changed_alike_whatever_follows_it() -> None:
    pixels, pipeline = pictures((8, 8, 1)), default_pipeline((8, 8, 1))
    few = augment_batch(pipeline, pixels[:1], np.random.default_rng(3))
    assert (augment_batch(pipeline, pixels, np.random.default_rng(3))[0] == few[0]).all()


def test_pictures_stay_recognisable_and_no_bars_move_in() -> None:
    grey = np.full((40, 16, 16, 1), 128, np.uint8)
    changed = augment_batch(default_pipeline((16, 16, 1)), grey, np.random.default_rng(0))
    assert changed.std(axis=(1, 2, 3)).max() == 0  # a plain picture stays plain
    assert 128 - 60 < changed.min() <= changed.max() < 128 + 60


def test_the_steps_of_a_pipeline_are_left_out_apart_from_each_other() -> None:
    pixels = pictures((8, 8, 1), n=400)
    changed = augment_batch(default_pipeline((8, 8, 1)), pixels, np.random.default_rng(0))
    left = (changed == pixels).all(axis=(1, 2, 3)).mean()
    assert left == pytest.approx(0.2 * 0.2, abs=0.03)  # of two steps with p = .8


def test_only_declared_flips_mirror() -> None:
    half = np.zeros((60, 8, 8, 1), np.uint8)
    half[:, :, :4] = 200
    for flips in (False, True):
        changed = augment_batch(default_pipeline((8, 8, 1), flips), half, np.random.default_rng(0))
        left, right = changed[:, :, :4].mean(axis=(1, 2, 3)), changed[:, :, 4:].mean(axis=(1, 2, 3))
        assert bool((left < right).any()) is flips


def test_a_pipeline_that_changes_the_size_is_refused_with_the_cure() -> None:
    class Cropping:
        def set_random_state(self, *generators: object) -> None:
            pass

        def __call__(self, *, image: NDArray[np.uint8]) -> dict[str, NDArray[np.uint8]]:
            return {"image": image[2:]}

    with pytest.raises(UsageError, match="Take out what crops"):
        augment_batch(Cropping(), pictures((8, 8, 1)), np.random.default_rng(0))


@pytest.mark.slow
def test_importing_the_door_loads_no_albumentations_and_opening_it_calls_nobody() -> None:
    script = (
        "import sys, socket\n"
        "def refuse(*a, **k): raise SystemExit('a connection was tried')\n"
        "socket.socket.connect = refuse\n"
        "socket.getaddrinfo = refuse\n"
        "from gan_augment.augment.classical import default_pipeline\n"
        "assert 'albumentations' not in sys.modules\n"
        "default_pipeline((8, 8, 1))\n"
        "assert 'albumentations' in sys.modules\n"
    )
    environment = {k: v for k, v in os.environ.items() if k != "NO_ALBUMENTATIONS_UPDATE"}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


@pytest.mark.parametrize("shape", [(8, 8, 1), (9, 12, 2), (16, 8, 3), (20, 20, 4), (32, 32, 3)])
def test_trivial_augment_keeps_shapes_and_follows_its_generator(
    shape: tuple[int, int, int],
) -> None:
    pixels, pipeline = pictures(shape, n=40), trivial_pipeline(shape)
    first, again, other = (
        augment_batch(pipeline, pixels, np.random.default_rng(seed)) for seed in (0, 0, 1)
    )
    assert first.tobytes() == again.tobytes() != other.tobytes()
    assert (first != pixels).any()


def test_trivial_augment_makes_one_of_its_changes_a_picture_each_as_likely() -> None:
    pixels = np.zeros((1400, 8, 8, 3), np.uint8)
    pixels[:, 2:6, 2:6] = (40, 90, 200)  # a square on black, which every change but one shows
    pipeline = trivial_pipeline((8, 8, 3))
    changed = augment_batch(pipeline, pixels, np.random.default_rng(0))
    moved = changed[:, [0, -1]].any(axis=(1, 2, 3)) | changed[:, :, [0, -1]].any(axis=(1, 2, 3))
    assert len(pipeline.transforms[0].transforms) == 14  # type: ignore[attr-defined]
    same = (changed == pixels).all(axis=(1, 2, 3)).mean()
    assert 1 / 14 - 0.02 < same < 5 / 14  # identity; and turns, bits or light too small to be seen
    assert 0.02 < moved.mean() < 6 / 14


def test_trivial_augments_sharpness_keeps_the_light() -> None:
    steps = trivial_pipeline((16, 16, 3)).transforms[0].transforms  # type: ignore[attr-defined]
    (sharpness,) = [step for step in steps if type(step).__name__ == "OneOf"]
    grey = np.full((16, 16, 3), 200, np.uint8)
    for _ in range(20):
        assert (sharpness(image=grey)["image"] == 200).all()
