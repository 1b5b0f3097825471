"""PNG files, manifests and contact sheets out; any class name is a folder's."""

from urllib.parse import unquote

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from gan_augment.data.images.contact_sheet import SheetRow, contact_sheet
from gan_augment.data.images.png_folder import (
    ManifestRow,
    folded,
    png_bytes,
    read_manifest,
    safe_name,
    safe_names,
    write_manifest,
    write_png,
)
from gan_augment.errors import DataError
from gan_augment.progress import printable


def noise(channels, height=9, width=11):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (height, width, channels), dtype=np.uint8)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_written_image_reads_back_equal(tmp_path, channels):
    pixels = noise(channels)
    write_png(tmp_path / "a.png", pixels)
    with Image.open(tmp_path / "a.png") as image:
        back = np.asarray(image).reshape(pixels.shape)
    np.testing.assert_array_equal(back, pixels)
    content = (tmp_path / "a.png").read_bytes()
    assert content == png_bytes(pixels)


VISIBLE = st.text(st.characters(exclude_categories=["Cc"]))  # control characters are escaped
rows = st.builds(
    ManifestRow,
    path=st.text(st.characters(exclude_categories=[])),
    label=VISIBLE,
    origin=st.sampled_from(["real", "repeat", "synthetic", "companion"]),
    source=VISIBLE,
    index=st.none() | st.integers(0, 10**9),
)


@given(st.lists(rows, max_size=5))
def test_a_manifest_reads_back_equal_whatever_the_names(tmp_path_factory, given_rows):
    path = tmp_path_factory.mktemp("out") / "manifest.csv"
    write_manifest(path, given_rows)
    assert read_manifest(path) == given_rows


@pytest.mark.parametrize("content", [b"", b"path,label\na,b\n", b"\xff\xff", b"a"])
def test_another_program_s_manifest_is_refused(tmp_path, content):
    (tmp_path / "manifest.csv").write_bytes(content)
    with pytest.raises(DataError, match="not a manifest"):
        read_manifest(tmp_path / "manifest.csv")


HOSTILE = [
    ".", "..", "...", "../../etc", "/etc/passwd", "a/b", "a\\b", "C:", "a\0b", "a\nb", "\x1b[2J",
    "\x7f", "\u202egnp.exe", "\u200b", ".hidden", "trailing.", "trailing ", " leading", "con",
    "NUL.txt", "com1", "manifest.csv", "Manifest.CSV", "a%2Fb", "%", "*?<>|\"", "~", "-rf",
    "\ud800", "\udcff", "żółw", "日本", "naïve", "x" * 240,
]  # fmt: skip


def true_name(folder):
    return unquote(folder, errors="surrogatepass")


texts = st.text(st.characters(exclude_categories=[]), min_size=1, max_size=40)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_one_plain_component_and_reversible(tmp_path, name):
    folder = safe_name(name)
    assert folder not in (".", "..")
    assert not folder.startswith((".", " "))
    assert not folder.endswith((".", " "))
    assert folder.isprintable()
    assert not set(folder) & set('/\\:*?"<>|')
    (tmp_path / folder).mkdir()
    assert [entry.name for entry in tmp_path.iterdir()] == [folder]
    assert true_name(folder) == name


@given(st.lists(texts, unique=True, max_size=20))
def test_any_set_of_names_gets_distinct_folders_even_without_case(names):
    folders = safe_names(names)
    assert list(folders) == names
    assert len({folded(folder) for folder in folders.values()}) == len(names)
    assert all(true_name(folder) == name for name, folder in folders.items())


def test_a_name_too_long_for_a_folder_is_cut_and_says_so():
    names = ["é" * 300, "é" * 301, "/" * 200]
    folders = safe_names(names)
    assert all(len(folder.encode()) <= 240 for folder in folders.values())
    assert len(set(folders.values())) == 3


def images(n, height=8, width=8, channels=1, value=200):
    return np.full((n, height, width, channels), value, np.uint8)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 6])
def test_a_sheet_is_rgb_for_any_channels(channels):
    real = images(3, channels=channels)
    sheet = contact_sheet([SheetRow("cat", "3 real rows", real, real[:1])])
    assert sheet.dtype == np.uint8
    assert sheet.shape[2] == 3


def test_real_synthetic_and_refused_images_are_shown_at_48_px_in_this_order():
    strips = [images(1, value=value) for value in (40, 90, 140)]
    sheet = contact_sheet([SheetRow("cat", "1 real row", *strips)], columns=2)
    places = [np.argwhere((sheet == value).all(axis=-1)) for value in (40, 90, 140)]
    assert [len(place) for place in places] == [48 * 48] * 3
    assert places[0][:, 0].max() < places[1][:, 0].min()
    assert places[1][:, 0].max() < places[2][:, 0].min()


@pytest.mark.parametrize("name", ["", "\n\x1b[2J", "日本", "long " * 100, "\ud800"])
def test_odd_class_names_and_missing_synthetics_are_drawn(name):
    sheet = contact_sheet([SheetRow(name, "0 real rows", images(0), images(0))])
    assert (sheet == (244, 244, 245)).all(axis=-1).any()
    assert printable("b\u202e") == "b\\u202e"


@pytest.mark.parametrize("name", ["été", "Größe", "крушение", "αβγ", "חתול"])
def test_class_names_of_most_alphabets_are_drawn_as_they_are(name):
    assert printable(name) == name
