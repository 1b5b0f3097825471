"""The contact sheet shows every class, at a size that can be read, whatever its name."""

import numpy as np
import pytest

from gan_augment.data.images.contact_sheet import SheetRow, contact_sheet, printable


def images(n, height=8, width=8, channels=1, value=200):
    return np.full((n, height, width, channels), value, np.uint8)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 6])
def test_a_sheet_is_rgb_for_any_channels(channels):
    real = images(3, channels=channels)
    sheet = contact_sheet([SheetRow("cat", "3 real rows", real, real[:1])])
    assert sheet.dtype == np.uint8
    assert sheet.shape[2] == 3


def test_reals_stand_above_synthetics_and_both_are_shown_at_48_px():
    row = SheetRow("cat", "1 real row", images(1, value=40), images(1, value=90))
    sheet = contact_sheet([row], columns=2)
    real = np.argwhere((sheet == 40).all(axis=-1))
    fake = np.argwhere((sheet == 90).all(axis=-1))
    assert len(real) == len(fake) == 48 * 48
    assert real[:, 0].max() < fake[:, 0].min()


@pytest.mark.parametrize("name", ["", "\n\x1b[2J", "日本", "long " * 100, "\ud800"])
def test_odd_class_names_and_missing_synthetics_are_drawn(name):
    sheet = contact_sheet([SheetRow(name, "0 real rows", images(0), images(0))])
    assert (sheet == (244, 244, 245)).all(axis=-1).any()
    assert printable("a\nb\u202e") == "a\\nb\\u202e"


def test_kept_stand_above_rejected_and_the_reason_is_below_in_words():
    def sheet(*reasons):
        row = SheetRow("cat", "60% kept", images(2, value=40), images(2, value=90), reasons)
        return contact_sheet([row], columns=2)

    plain, told = sheet("", ""), sheet("label", "logit")
    kept, rejected = (np.argwhere((told == value).all(axis=-1)) for value in (40, 90))
    assert kept[:, 0].max() < rejected[:, 0].min()
    changed = np.argwhere((plain != told).any(axis=-1))
    assert changed[:, 0].min() > rejected[:, 0].max()


@pytest.mark.parametrize("name", ["été", "Größe", "крушение", "αβγ", "חתול"])
def test_class_names_of_most_alphabets_are_drawn_as_they_are(name):
    assert printable(name) == name
