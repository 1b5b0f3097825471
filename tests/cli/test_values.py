"""Option texts: what is taken, and that a refusal says what was expected."""

import pytest

from gan_augment.config import seconds
from gan_augment.errors import UsageError
from gan_augment_cli import options as values


@pytest.mark.parametrize("text", ["10", "", "m", "-5m", "0s", "5 m", "1d", "1m and more"])
def test_a_duration_without_a_unit_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected a number and its unit"):
        seconds(text)


@pytest.mark.parametrize("text", ["", "32x", "x32", "32x32x3", "-8", "a"])
def test_an_image_size_is_one_or_two_whole_numbers(text: str) -> None:
    with pytest.raises(UsageError, match="expected HEIGHTxWIDTH"):
        values.height_width(text)


def test_a_class_name_may_hold_an_equals_sign() -> None:
    assert values.row_counts("a=b=3") == {"a=b": 3}


@pytest.mark.parametrize("text", ["", "owl", "owl=", "=3", "owl=-1", "1.5"])
def test_counts_are_a_number_or_names_with_numbers(text: str) -> None:
    with pytest.raises(UsageError, match="expected a number"):
        values.row_counts(text)


def test_one_row_and_the_whole_majority_are_told_apart() -> None:
    assert values.target("1") == 1
    assert isinstance(values.target("1"), int)
    assert isinstance(values.target("1.0"), float)


def test_a_number_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match=r"'0.5.5' is no number"):
        values.target("0.5.5")
