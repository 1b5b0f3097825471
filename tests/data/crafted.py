"""Files that somebody could put into a folder of images: what they hold, and what must be said."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

_COLOUR = np.random.default_rng(3).integers(0, 256, (24, 20, 3), dtype=np.uint8)
Crafted = tuple[str, bytes, str | None]  # name, bytes, a part of the reason or None: it is usable


def encoded(image: np.ndarray | Image.Image, kind: str = "PNG", **options: object) -> bytes:
    """The bytes of an image file."""
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png(
    width: int, height: int, rows: bytes, *more: bytes, kind: tuple[int, int] = (8, 0)
) -> bytes:
    """A PNG with the given header, compressed rows and further chunks before them."""
    header = struct.pack(">IIBBBBB", width, height, kind[0], kind[1], 0, 0, 0)
    chunks = [chunk(b"IHDR", header), *more, chunk(b"IDAT", rows), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def chunk(kind: bytes, body: bytes) -> bytes:
    """One PNG chunk with its checksum."""
    checksum = struct.pack(">I", zlib.crc32(kind + body))
    return struct.pack(">I", len(body)) + kind + body + checksum


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
        ("huge-header.png", png(100_000, 100_000, zeros), "megapixels"),
        ("wide.png", png(2**31 - 1, 1, zeros), "megapixels"),
        ("just-over.png", png(50_001, 1_000, zeros), "megapixels"),
        ("huge.jpg", bytes(jpeg), "megapixels"),
        ("huge.bmp", bytes(bmp), "megapixels"),
        ("text-bomb.png", png(8, 8, zlib.compress(bytes(72)), text), "it cannot be decoded"),
        ("profile-bomb.png", png(8, 8, zlib.compress(bytes(72)), profile), "it cannot be decoded"),
        ("too-few-rows.png", png(4000, 4000, zlib.compress(b"")), "it cannot be decoded"),
    ]


def disguised() -> list[Crafted]:
    """Things that are no image of the five formats, whatever they are called."""
    gif = encoded(_COLOUR, "GIF")
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n(touch) show\n"
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
    other = [
        ("empty.png", b""),
        ("one-byte.png", b"\x89"),
        ("signature.png", b"\x89PNG\r\n\x1a\n"),
        ("text.png", b"this is no image\n" * 40),
        ("zeros.jpg", bytes(4096)),
        ("noise.webp", np.random.default_rng(0).bytes(4096)),
        ("gif.png", gif),
        ("postscript.jpg", eps),
        ("drawing.png", svg),
        ("page.jpg", b"<html><body>404 Not Found</body></html>"),
        ("pickle.png", b"\x80\x04\x95\x1c\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94."),
        ("zip.png", b"PK\x03\x04" + bytes(200)),
        ("pdf.tif", b"%PDF-1.7\n" + bytes(200)),
        ("ppm.bmp", b"P6 8 8 255\n" + bytes(192)),
        ("icon.png", b"\0\0\1\0\1\0\x10\x10\0\0\1\0\x20\0" + bytes(200)),
        ("program.png", b"\x7fELF" + bytes(200)),
        ("pointer.png", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"),
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
    deep = np.arange(24 * 20, dtype=np.uint16).reshape(24, 20) * 100
    exif = Image.Exif()
    exif[0x0112] = 6
    bad_exif = b"Exif\0\0II*\0\xff\xff\xff\xff" + bytes(20)
    wrong = [
        ("jpeg-called.png", encoded(_COLOUR + 1, "JPEG")),
        ("webp-called.jpg", encoded(_COLOUR + 2, "WEBP", lossless=True)),
        ("16-bit.png", encoded(deep)),
        ("palette.png", encoded(Image.fromarray(_COLOUR + 3).quantize(16))),
        ("cmyk.jpg", encoded(Image.fromarray(_COLOUR + 4).convert("CMYK"), "JPEG")),
        ("alpha.png", encoded(np.dstack([_COLOUR, _COLOUR[..., 0]]))),
        ("turned.jpg", encoded(_COLOUR + 5, "JPEG", exif=exif)),
        ("bad-exif.jpg", encoded(_COLOUR + 6, "JPEG", exif=bad_exif)),
        ("thin.png", encoded(_COLOUR[:4, :4])),
        ("black-white.png", encoded(Image.fromarray(_COLOUR + 7).convert("1"))),
        ("lab.tif", encoded(Image.new("LAB", (8, 8), (255, 128, 128)), "TIFF")),
        ("SHOUTING.PNG", encoded(_COLOUR + 8)),
        ("na\u00efve \u732b \u202egnp.png", encoded(_COLOUR + 9)),
        ("new\nline.png", encoded(_COLOUR + 10)),
        ("=cmd|'calc'!A1.png", encoded(_COLOUR + 11)),
        ("-rf.png", encoded(_COLOUR + 12)),
    ]
    frames = [Image.fromarray(_COLOUR + 13), Image.fromarray(_COLOUR + 14)]
    wrong.append(("moves.png", encoded(frames[0], save_all=True, append_images=frames[1:])))
    wrong.append(("pages.tif", encoded(frames[1], "TIFF", save_all=True, append_images=frames[:1])))
    return [(name, raw, None) for name, raw in wrong]


def all_crafted() -> list[Crafted]:
    """Every crafted file."""
    return [*truncated(), *bombs(), *disguised(), *damaged(), *unusual()]


def write_all(folder: Path) -> dict[str, str | None]:
    """Write every crafted file into `folder`; {name: expected part of the reason or None}."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, raw, _ in all_crafted():
        (folder / name).write_bytes(raw)
    return {name: reason for name, _, reason in all_crafted()}
