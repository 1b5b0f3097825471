"""Every class name becomes one harmless folder name, and comes back."""

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gan_augment.data.images.png_folder import folded, safe_name, safe_names

HOSTILE = [
    ".", "..", "...", "../../etc", "/etc/passwd", "a/b", "a\\b", "C:", "a\0b", "a\nb", "\x1b[2J",
    "\x7f", "\u202egnp.exe", "\u200b", ".hidden", "trailing.", "trailing ", " leading", "con",
    "NUL.txt", "com1", "manifest.csv", "Manifest.CSV", "a%2Fb", "%", "*?<>|\"", "~", "-rf",
    "\ud800", "\udcff", "żółw", "日本", "naïve", "x" * 255,
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


def test_ordinary_names_stay_as_they_are():
    for name in ["cat", "Good part 7", "żółw", "日本", "a.b-c_d", "3", "0.5"]:
        assert safe_name(name) == name


@given(texts)
def test_any_name_comes_back(name):
    assert true_name(safe_name(name)) == name


@given(st.lists(texts, unique=True, max_size=20))
def test_any_set_of_names_gets_distinct_folders_even_without_case(names):
    folders = safe_names(names)
    assert list(folders) == names
    assert len({folded(folder) for folder in folders.values()}) == len(names)
    assert all(true_name(folder) == name for name, folder in folders.items())


def test_names_that_differ_only_in_case_or_accents_get_two_folders():
    folders = safe_names(["cat", "CAT", "é", "e\u0301", "ß", "ss"])
    assert folders["cat"] == "cat"
    assert len({folded(folder) for folder in folders.values()}) == 6


def test_a_name_too_long_for_a_folder_is_cut_and_says_so():
    names = ["é" * 300, "é" * 301, "/" * 200]
    folders = safe_names(names)
    assert all(len(folder.encode()) <= 255 for folder in folders.values())
    assert len(set(folders.values())) == 3


def test_an_empty_name_is_refused():
    with pytest.raises(ValueError, match="empty"):
        safe_name("")
