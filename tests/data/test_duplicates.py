"""Near duplicates: one picture saved, lit or scaled anew is found, a like one is not."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from gan_augment.data.groups import join_groups, near_duplicates


def scenes(n: int = 40, side: int = 32, channels: int = 3, seed: int = 0) -> np.ndarray:
    """Pictures with edges and texture: bright discs on a gradient, noise smoothed over 2 px."""
    rng = np.random.default_rng(seed)
    rows, columns = np.indices((side, side))
    out = np.empty((n, side, side, channels))
    for i in range(n):
        noise = rng.normal(size=(side + 1, side + 1, 1)) * 8
        out[i] = noise[1:, 1:] + noise[:-1, 1:] + rng.uniform(60, 120)
        for _ in range(4):
            y, x, r = rng.uniform(0, side, 3)
            out[i][(rows - y) ** 2 + (columns - x) ** 2 < (r / 3) ** 2] += rng.uniform(20, 60)
    return np.clip(out, 0, 255).astype(np.uint8)


def saved_again(pixels: np.ndarray, quality: int) -> np.ndarray:
    """As a JPEG of three times the size, and back."""
    again = []
    for image in pixels:
        side = image.shape[0]
        large = Image.fromarray(image).resize((3 * side, 3 * side), Image.Resampling.BICUBIC)
        file = io.BytesIO()
        large.save(file, "JPEG", quality=quality)
        again.append(np.asarray(Image.open(file).resize((side, side), Image.Resampling.BOX)))
    return np.stack(again)


def lit(pixels: np.ndarray) -> np.ndarray:
    return np.clip(pixels * 0.9 + 12, 0, 255).astype(np.uint8)


def scaled(pixels: np.ndarray) -> np.ndarray:
    side = pixels.shape[1]
    sizes = ((4 * side, 4 * side), (round(3.6 * side),) * 2, (side, side))
    again = []
    for image in pixels:
        picture = Image.fromarray(image)
        for size in sizes:
            picture = picture.resize(size, Image.Resampling.BICUBIC)
        again.append(np.asarray(picture))
    return np.stack(again)


CHANGES = {"saved": lambda x: saved_again(x, 85), "lit": lit, "scaled": scaled}


@pytest.mark.parametrize("change", CHANGES)
def test_a_picture_saved_lit_or_scaled_anew_is_found(change: str) -> None:
    first = scenes()
    again = CHANGES[change](first[:10])
    found = near_duplicates(np.concatenate([first, again]))
    assert found == [[i, 40 + i] for i in range(10)]


def test_pictures_that_differ_are_joined_to_none() -> None:
    assert near_duplicates(scenes(300)) == []


def test_handwritten_digits_are_all_different() -> None:
    from sklearn.datasets import load_digits

    pixels = np.rint(load_digits().images * (255 / 16)).astype(np.uint8)[..., None]
    assert near_duplicates(pixels) == []


def test_flat_and_blurred_pictures_are_joined_to_none() -> None:
    rng = np.random.default_rng(0)
    flat = rng.integers(99, 102, (20, 16, 16, 1))
    slope = np.broadcast_to(np.arange(16)[:, None, None] * 8, (20, 16, 16, 1))
    black = np.zeros((5, 16, 16, 1))
    assert near_duplicates(np.concatenate([flat, slope, black]).astype(np.uint8)) == []


def test_three_of_one_picture_are_one_set_wherever_they_stand() -> None:
    first = scenes(6)
    order = [3, 0, 6, 1, 7, 2, 4, 5]
    all_of_them = np.concatenate([first, lit(first[:1]), saved_again(first[:1], 90)])[order]
    assert near_duplicates(all_of_them) == [[1, 2, 4]]
    groups = join_groups(8, near_duplicates(all_of_them), None)
    assert groups is not None
    assert groups.tolist() == [-1, 0, 0, -1, 0, -1, -1, -1]


@pytest.mark.parametrize("shape", [(8, 8, 1), (9, 13, 4), (20, 8, 2)])
def test_any_size_and_channels_from_eight_px_work(shape: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 200, (30, *shape)).astype(np.uint8)
    pixels[7] = lit(pixels[3])
    assert near_duplicates(pixels) == [[3, 7]]
    assert near_duplicates(pixels[:1]) == near_duplicates(pixels[:0]) == []


def test_pictures_further_apart_than_a_block_are_compared_too() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 200, (2500, 8, 8, 1)).astype(np.uint8)
    pixels[2400] = lit(pixels[5])
    assert near_duplicates(pixels) == [[5, 2400]]
