"""What the decoder makes of every kind of image file that it takes."""

from __future__ import annotations

import numpy as np
import pytest
from image_files import encoded
from PIL import Image

from gan_augment.data.images.decode import decode, header_size

RNG = np.random.default_rng(1)
COLOUR = RNG.integers(0, 256, (9, 14, 3), dtype=np.uint8)
GREY = RNG.integers(0, 256, (9, 14, 1), dtype=np.uint8)
PALETTE = Image.fromarray(COLOUR).quantize(8)
EXACT = {
    "colour PNG": (COLOUR, "PNG", COLOUR),
    "colour BMP": (COLOUR, "BMP", COLOUR),
    "colour TIFF": (COLOUR, "TIFF", COLOUR),
    "grey": (GREY[..., 0], "PNG", GREY),
    "grey saved as colour": (np.repeat(GREY, 3, axis=2), "PNG", GREY),
    "opacity that is full everywhere": (np.dstack([COLOUR, GREY * 0 + 255]), "PNG", COLOUR),
    "real opacity": (np.dstack([COLOUR, GREY]), "PNG", np.dstack([COLOUR, GREY])),
    "a palette": (PALETTE, "PNG", np.asarray(PALETTE.convert("RGB"))),
    "black and white": (
        Image.fromarray(GREY[..., 0]).convert("1", dither=Image.Dither.NONE),
        "PNG",
        np.where(GREY > 127, 255, 0),
    ),
    "CMYK": (Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "TIFF", np.full((8, 8, 3), (255, 0, 0))),
}


@pytest.mark.parametrize("name", sorted(EXACT))
def test_a_lossless_file_comes_back_pixel_by_pixel_in_the_fewest_channels(name):
    image, kind, expected = EXACT[name]
    assert np.array_equal(decode(encoded(image, kind))[1], expected)


def test_16_bits_are_scaled_and_rounded_not_clipped():
    deep = np.array([[0, 128, 129, 257, 32768, 65535, 65406, 65407]] * 8, dtype=np.uint16)
    facts, pixels = decode(encoded(deep))
    assert pixels[0, :, 0].tolist() == np.rint(deep[0] / 257).astype(int).tolist()
    assert facts["brightest_16bit"] == 65535
    for mode, order in (("I;16", "<u2"), ("I;16B", ">u2")):
        image = Image.frombytes(mode, (8, 8), np.full((8, 8), 25700, dtype=order).tobytes())
        assert decode(encoded(image, "TIFF"))[1][0, 0, 0] == 100


def test_a_transparent_colour_keeps_its_transparency():
    pixels = decode(encoded(PALETTE, transparency=3))[1]
    assert pixels.shape == (9, 14, 4)
    assert np.array_equal(pixels[..., 3] == 0, np.asarray(PALETTE) == 3)
    for mode, clear, opaque in (("L", 5, 200), ("RGB", (5, 5, 5), (200, 200, 200))):
        image = Image.new(mode, (8, 8), clear)
        image.putpixel((0, 0), opaque)
        pixels = decode(encoded(image, transparency=clear))[1]
        assert pixels[0, 0].tolist() == [200, 200, 200, 255]
        assert pixels[1, 1, 3] == 0


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_exif_orientation_is_applied_once(kind):
    lying = np.zeros((16, 32), dtype=np.uint8)
    lying[:, :16] = 255  # bright on the left
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise: bright on top
    options = {"lossless": True} if kind == "WEBP" else {}
    raw = encoded(lying, kind, exif=exif, **options)
    pixels = decode(raw)[1][..., 0]
    assert pixels.shape == (32, 16)
    assert pixels[:15].min() > 200
    assert pixels[17:].max() < 55
    assert kind == "PNG" or header_size(raw) == (32, 16)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_of_several_frames_the_first_is_taken_and_that_is_said(kind):
    frames = [Image.new("L", (8, 8), value) for value in (10, 200)]
    options = {"lossless": True} if kind == "WEBP" else {}
    raw = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    facts, pixels = decode(raw)
    assert facts["animated"]
    assert pixels.max() == 10
