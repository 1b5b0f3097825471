"""Image files: what the decoder makes of every kind, and what it refuses."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from image_files import chunk, encoded, png
from PIL import Image

from gan_augment.data.images.decode import Facts, decode_files
from gan_augment.data.images.reader import read_images
from gan_augment.errors import DataError, UnreadableFilesError

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


Decode = Callable[[bytes], tuple[Facts, np.ndarray]]


@pytest.fixture
def decode(tmp_path: Path) -> Decode:
    """`decode(raw)` -> the facts and pixels of a file, which keeps its size."""

    def answer(raw: bytes) -> tuple[Facts, np.ndarray]:
        (tmp_path / "one").write_bytes(raw)
        ((facts, _),) = decode_files([tmp_path / "one"], (8, 8))
        own = facts["height"], facts["width"]
        ((_, pixels),) = decode_files([tmp_path / "one"], own)
        assert pixels is not None
        return facts, pixels

    return answer


@pytest.mark.parametrize("name", sorted(EXACT))
def test_a_lossless_file_comes_back_pixel_by_pixel_in_the_fewest_channels(name, decode):
    image, kind, expected = EXACT[name]
    assert np.array_equal(decode(encoded(image, kind))[1], expected)


def test_16_bits_are_scaled_and_rounded_not_clipped(decode):
    deep = np.array([[0, 128, 129, 257, 32768, 65535, 65406, 65407]] * 8, dtype=np.uint16)
    facts, pixels = decode(encoded(deep))
    assert pixels[0, :, 0].tolist() == np.rint(deep[0] / 257).astype(int).tolist()
    assert facts["brightest"] == 255
    for mode, order in (("I;16", "<u2"), ("I;16B", ">u2")):
        image = Image.frombytes(mode, (8, 8), np.full((8, 8), 25700, dtype=order).tobytes())
        assert decode(encoded(image, "TIFF"))[1][0, 0, 0] == 100


def test_a_transparent_colour_keeps_its_transparency(decode):
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
def test_exif_orientation_is_applied_once(kind, decode, tmp_path):
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
    ((header, _),) = decode_files([tmp_path / "one"], None)
    assert kind == "PNG" or header == {"size": (32, 16)}


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_of_several_frames_the_first_is_taken_and_that_is_said(kind, decode):
    frames = [Image.new("L", (8, 8), value) for value in (10, 200)]
    options = {"lossless": True} if kind == "WEBP" else {}
    raw = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    facts, pixels = decode(raw)
    assert facts["animated"]
    assert pixels.max() == 10


_COLOUR = np.random.default_rng(3).integers(0, 256, (24, 20, 3), dtype=np.uint8)
Crafted = tuple[str, bytes, str | None]  # name, bytes, a part of the reason or None: it is usable


def truncated() -> list[Crafted]:
    """Files of every format cut in the middle, and at the end of the header."""
    cut = []
    for kind in ("PNG", "JPEG", "WEBP", "BMP", "TIFF"):
        raw = encoded(_COLOUR, kind)
        cut.append((f"half.{kind.lower()}", raw[: len(raw) // 2], "it "))
        cut.append((f"start.{kind.lower()}", raw[:30], "it "))
    return cut


def bombs() -> list[Crafted]:
    """Few bytes that would take much memory or time."""
    zeros = zlib.compress(bytes(1 << 20))
    jpeg = bytearray(encoded(_COLOUR, "JPEG"))
    at = jpeg.find(b"\xff\xc0")
    jpeg[at + 5 : at + 9] = struct.pack(">HH", 65000, 65000)
    bmp = bytearray(encoded(_COLOUR, "BMP"))
    bmp[18:26] = struct.pack("<ii", 60000, 60000)
    text = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(1 << 27)))
    profile = chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(1 << 26)))
    return [
        ("huge-header.png", png(100_000, 100_000, zeros), "exceeds limit"),
        ("wide.png", png(2**31 - 1, 1, zeros), "exceeds limit"),
        ("just-over.png", png(90_000, 1_000, zeros), "exceeds limit"),
        ("huge.jpg", bytes(jpeg), "exceeds limit"),
        ("huge.bmp", bytes(bmp), "exceeds limit"),
        ("text-bomb.png", png(8, 8, zlib.compress(bytes(72)), text), "it cannot be decoded"),
        ("profile-bomb.png", png(8, 8, zlib.compress(bytes(72)), profile), "it cannot be decoded"),
        ("too-few-rows.png", png(4000, 4000, zlib.compress(b"")), "it cannot be decoded"),
    ]


def disguised() -> list[Crafted]:
    """Things that are no image of the five formats, whatever they are called."""
    other = [
        ("empty.png", b""),
        ("signature.png", b"\x89PNG\r\n\x1a\n"),
        ("text.png", b"this is no image\n" * 40),
        ("noise.webp", np.random.default_rng(0).bytes(4096)),
        ("gif.png", encoded(_COLOUR, "GIF")),
        ("postscript.jpg", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n(touch) show\n"),
        ("drawing.png", b'<svg xmlns="http://www.w3.org/2000/svg"></svg>'),
        ("pdf.tif", b"%PDF-1.7\n" + bytes(200)),
        ("ppm.bmp", b"P6 8 8 255\n" + bytes(192)),
        ("icon.png", b"\0\0\1\0\1\0\x10\x10\0\0\1\0\x20\0" + bytes(200)),
    ]
    return [(name, raw, "the file is empty" if not raw else "it ") for name, raw in other]


def damaged() -> list[Crafted]:
    """Files of the right format with something wrong inside."""
    raw = encoded(_COLOUR)
    flipped = bytearray(raw)
    flipped[60] ^= 0xFF
    no_pixels = raw[:33] + chunk(b"IEND", b"")
    loop = b"II*\0\x08\0\0\0\0\0\x08\0\0\0"
    riff = b"RIFF\xff\xff\xff\xffWEBPVP8X\x0a\0\0\0\0\0\0\0" + b"\xff" * 6
    return [
        ("flipped.png", bytes(flipped), "it cannot be decoded"),
        ("no-pixels.png", no_pixels, "it "),
        ("zero-wide.png", png(0, 8, zlib.compress(b"")), "it "),
        ("bad-depth.png", png(8, 8, zlib.compress(bytes(72)), kind=(7, 9)), "it "),
        ("directory-loop.tif", loop, "it "),
        ("huge-webp.webp", riff, "it "),
        ("one-pixel.png", encoded(_COLOUR[:1, :1]), "too few"),
        ("one-row.png", encoded(_COLOUR[:1]), "too few"),
        ("32-bit.tif", encoded(Image.new("F", (8, 8), 0.5), "TIFF"), "8 or 16 bits"),
    ]


def unusual() -> list[Crafted]:
    """Odd but sound files, all of them usable."""
    bad_exif = b"Exif\0\0II*\0\xff\xff\xff\xff" + bytes(20)
    odd = [
        ("jpeg-called.png", encoded(_COLOUR + 1, "JPEG")),
        ("webp-called.jpg", encoded(_COLOUR + 2, "WEBP", lossless=True)),
        ("bad-exif.jpg", encoded(_COLOUR + 3, "JPEG", exif=bad_exif)),
        ("thin.png", encoded(_COLOUR[:4, :4])),
        ("lab.tif", encoded(Image.new("LAB", (8, 8), (255, 128, 128)), "TIFF")),
        ("SHOUTING.PNG", encoded(_COLOUR + 4)),
        ("na\u00efve \u732b \u202egnp.png", encoded(_COLOUR + 5)),
        ("new\nline.png", encoded(_COLOUR + 6)),
        ("=cmd|'calc'!A1.png", encoded(_COLOUR + 7)),
        ("-rf.png", encoded(_COLOUR + 8)),
    ]
    return [(name, raw, None) for name, raw in odd]


CRAFTED = [*truncated(), *bombs(), *disguised(), *damaged(), *unusual()]


@pytest.mark.slow
def test_each_crafted_file_is_used_or_refused_and_costs_only_itself(tmp_path, folder):
    root = folder(good=3)
    (root / "odd").mkdir()
    for name, raw, _ in CRAFTED:
        (root / "odd" / name).write_bytes(raw)
    scan = read_images(root, skip_bad=True).scan
    refused = {f"odd/{name}": reason for name, _, reason in CRAFTED if reason is not None}
    assert scan.rejected.keys() == refused.keys()
    assert all(reason in scan.rejected[path][1] for path, reason in refused.items())
    assert not any("\n" in why for _, why in scan.rejected.values())
    assert scan.counts == {"good": 3, "odd": len(CRAFTED) - len(refused)}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data"]
    with pytest.raises(UnreadableFilesError, match="skip_bad=True") as refusal:
        read_images(root)
    assert refusal.value.exit_code == 3
    assert "'odd/bad-depth.png': it " in str(refusal.value)


def test_links_that_leave_the_folder_loop_or_name_folders_are_rejected(tmp_path, folder):
    root = folder(cat=8, dog=8)
    outside = tmp_path / "secret.png"
    Image.new("L", (8, 8)).save(outside)
    (root / "cat" / "link.png").symlink_to(outside)
    (root / "dog" / "broken.png").symlink_to(root / "nowhere.png")
    (root / "cat" / "again").symlink_to(root / "cat")
    (root / "dog" / "self.png").symlink_to("self.png")
    (root / "cat" / "inner.png").symlink_to(root / "cat" / "000.png")  # read, with its target
    read = read_images(root, skip_bad=True)
    assert read.data.counts == {"cat": 9, "dog": 8}
    assert read.data.ids[read.data.groups == 0].tolist() == ["cat/000.png", "cat/inner.png"]
    rejected = read.scan.rejected
    assert set(rejected) == {"cat/link.png", "dog/broken.png", "dog/self.png"}
    assert rejected["cat/link.png"] == ("cat", "it leads out of the folder")
    assert rejected["dog/broken.png"] == ("dog", "there is no such file")
    assert "link to a folder (1)" in read.notes[0]


def test_what_is_no_regular_file_or_has_an_impossible_name_is_rejected(folder):
    root = folder(cat=3, dog=3)
    image = (root / "cat" / "000.png").read_bytes()
    os.mkfifo(root / "cat" / "pipe.png")  # and not waited for
    name = os.fsencode(root / "cat") + b"/\xff\xfe.png"
    Path(os.fsdecode(name)).write_bytes(image)
    (root / "dog" / "album.png").mkdir()  # a folder, entered as one
    (root / "dog" / "album.png" / "in.png").write_bytes(image)
    read = read_images(root, skip_bad=True)
    assert "dog/album.png/in.png" in read.data.ids
    rejected = {path.encode(): why for path, (_, why) in read.scan.rejected.items()}  # printable
    assert rejected.pop(b"cat/pipe.png") == "it is not a regular file"
    assert rejected.pop(b"cat/\\udcff\\udcfe.png") == "its name is not valid UTF-8"
    assert not rejected


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[31mb", "\x7f", " ", "x" * 201])
def test_class_folders_with_unprintable_names_are_refused_and_named(folder, name):
    root = folder(cat=2)
    (root / "cat").rename(root / name)
    with pytest.raises(DataError, match="cannot be a class") as refusal:
        read_images(root)
    assert "\n" not in str(refusal.value)
    assert "\x1b" not in str(refusal.value)


def test_hidden_files_and_folders_are_ignored(folder):
    root = folder(cat=2, dog=2)
    (root / ".thumbs").mkdir()
    (root / "cat" / ".hidden.png").write_bytes(b"no image")
    (root / "cat" / ".cache").mkdir()
    (root / "cat" / ".cache" / "x.png").write_bytes(b"no image")
    (root / "cat" / ".linked").symlink_to(root / "dog")
    read = read_images(root)
    assert read.data.counts == {"cat": 2, "dog": 2}
    assert read.scan.rejected == {}
