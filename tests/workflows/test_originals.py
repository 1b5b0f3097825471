"""The user's images keep their names and bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gan_augment.data.images.png_folder import folded
from gan_augment.workflows.augmenting import file_names, repeat_name

parts = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1)
paths = st.lists(st.tuples(st.sampled_from("ab"), parts, parts).map("/".join), unique=True)


@given(paths)
def test_file_names_are_distinct_in_a_class_and_hold_no_separator(ids):
    labels = [0 if id_.startswith("a") else 1 for id_ in ids]
    names = file_names(ids, labels)
    distinct = {(label, folded(name)) for label, name in zip(labels, names, strict=True)}
    assert len(distinct) == len(ids)
    assert not any("/" in name for name in names)


@pytest.mark.parametrize("name", ["synthetic-000000.png", "repeat-000003-a.png"])
def test_an_original_called_as_our_files_are_gets_another_name(name):
    assert file_names([name, f"cat/{name}"], [0, 0]) != [name, name]
    assert not any(n.startswith(("synthetic-0", "repeat-0")) for n in file_names([name], [0]))


def test_the_name_of_a_repeat_stays_a_file_name_and_keeps_its_suffix():
    name = repeat_name(7, "é" * 125 + ".png")
    assert len(name.encode()) <= 255
    assert name.startswith("repeat-000007-")
    assert name.endswith(".png")
    assert name != repeat_name(7, "é" * 126 + ".png")
