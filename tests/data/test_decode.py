"""What the decoder makes of every kind of image file that it takes."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from PIL import Image

from gan_augment.data.images.decode import BadImageError, decode, header_size

RNG = np.random.default_rng(1)
COLOUR = RNG.integers(0, 256, (9, 14, 3), dtype=np.uint8)
GREY = RNG.integers(0, 256, (9, 14), dtype=np.uint8)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_a_lossless_colour_file_comes_back_pixel_by_pixel(encoded, kind):
    assert np.array_equal(decode(encoded(COLOUR, kind)).pixels, COLOUR)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_a_lossy_colour_file_comes_back_close(encoded, kind):
    smooth = np.linspace(0, 255, 32 * 32 * 3).reshape(32, 32, 3).astype(np.uint8)
    pixels = decode(encoded(smooth, kind, quality=95)).pixels
    assert np.abs(pixels.astype(int) - smooth).mean() < 6


def test_grey_has_one_channel_even_if_saved_as_colour(encoded):
    as_colour = np.repeat(GREY[..., None], 3, axis=2)
    for raw in (encoded(GREY), encoded(as_colour)):
        assert np.array_equal(decode(raw).pixels, GREY[..., None])


def test_16_bits_are_scaled_and_rounded_not_clipped(encoded):
    deep = np.array([[0, 128, 129, 257, 32768, 65535, 65406, 65407]] * 8, dtype=np.uint16)
    decoded = decode(encoded(deep))
    assert decoded.pixels[0, :, 0].tolist() == np.rint(deep[0] / 257).astype(int).tolist()
    assert decoded.brightest_16bit == 65535


@pytest.mark.parametrize("order", ["<u2", ">u2"])
def test_16_bit_tiffs_of_both_byte_orders_are_scaled(encoded, order):
    deep = np.full((8, 8), 25700, dtype=order)
    mode = "I;16" if order == "<u2" else "I;16B"
    image = Image.frombytes(mode, (8, 8), deep.tobytes())
    assert decode(encoded(image, "TIFF")).pixels[0, 0, 0] == 100


def test_16_bit_colour_is_scaled():
    import struct
    import zlib

    def chunk(kind: bytes, body: bytes) -> bytes:
        checked = kind + body
        return struct.pack(">I", len(body)) + checked + struct.pack(">I", zlib.crc32(checked))

    rows = b"".join(b"\0" + struct.pack(">3H", 65535, 257 * 7, 0) * 8 for _ in range(8))
    raw = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 16, 2, 0, 0, 0))
    raw += chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    assert decode(raw).pixels[0, 0].tolist() == [255, 7, 0]


def test_a_palette_becomes_its_colours(encoded):
    image = Image.fromarray(COLOUR).quantize(8)
    assert np.array_equal(decode(encoded(image)).pixels, np.asarray(image.convert("RGB")))


def test_a_transparent_palette_keeps_its_transparency(encoded):
    image = Image.fromarray(COLOUR).quantize(8)
    pixels = decode(encoded(image, transparency=3)).pixels
    assert pixels.shape == (9, 14, 4)
    assert np.array_equal(pixels[..., 3] == 0, np.asarray(image) == 3)


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_transparent_colour_keeps_its_transparency(encoded, mode):
    image = Image.new(mode, (8, 8), 5 if mode == "L" else (5, 5, 5))
    image.putpixel((0, 0), 200 if mode == "L" else (200, 200, 200))
    pixels = decode(encoded(image, transparency=5 if mode == "L" else (5, 5, 5))).pixels
    assert pixels[0, 0].tolist() == [200, 200, 200, 255]
    assert pixels[1, 1, 3] == 0


def test_opacity_that_is_full_everywhere_is_dropped(encoded):
    opaque = np.dstack([COLOUR, np.full(GREY.shape, 255, np.uint8)])
    assert np.array_equal(decode(encoded(opaque)).pixels, COLOUR)


def test_real_opacity_is_kept(encoded):
    seen_through = np.dstack([COLOUR, GREY])
    assert np.array_equal(decode(encoded(seen_through)).pixels, seen_through)


def test_cmyk_becomes_rgb(encoded):
    image = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    pixels = decode(encoded(image, "TIFF")).pixels
    assert pixels[0, 0].tolist() == [255, 0, 0]
    assert decode(encoded(image, "JPEG")).mode == "CMYK"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_exif_orientation_is_applied_once(encoded, kind):
    lying = np.zeros((16, 32), dtype=np.uint8)
    lying[:, :16] = 255  # bright on the left
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise: bright on top
    options = {"lossless": True} if kind == "WEBP" else {}
    pixels = decode(encoded(lying, kind, exif=exif, **options)).pixels[..., 0]
    assert pixels.shape == (32, 16)
    assert pixels[:15].min() > 200
    assert pixels[17:].max() < 55


@pytest.mark.parametrize("kind", ["JPEG", "TIFF", "WEBP"])
def test_the_header_tells_the_size_that_decoding_gives(encoded, kind):
    exif = Image.Exif()
    exif[0x0112] = 8
    raw = encoded(COLOUR, kind, exif=exif)
    assert header_size(raw) == decode(raw).pixels.shape[:2] == (14, 9)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_of_several_frames_the_first_is_taken_and_that_is_said(encoded, kind):
    frames = [Image.new("L", (8, 8), value) for value in (10, 200)]
    options = {"lossless": True} if kind == "WEBP" else {}
    raw = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    decoded = decode(raw)
    assert decoded.animated
    assert decoded.pixels.max() == 10


def test_black_and_white_is_0_and_255(encoded):
    assert set(np.unique(decode(encoded(Image.fromarray(GREY).convert("1"))).pixels)) == {0, 255}


@pytest.mark.parametrize("mode", ["I", "F"])
def test_32_bit_pixels_are_refused_since_their_white_is_unknown(encoded, mode):
    with pytest.raises(BadImageError, match="8 or 16 bits"):
        decode(encoded(Image.new(mode, (8, 8), 3), "TIFF"))


def test_decoding_changes_no_setting_of_pillow_and_warns_of_nothing(encoded):
    before = Image.MAX_IMAGE_PIXELS
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        decode(encoded(COLOUR))
    assert before == Image.MAX_IMAGE_PIXELS
