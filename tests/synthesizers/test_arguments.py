"""Arguments of every synthesizer: refused in words, whatever they are."""

from __future__ import annotations

import numpy as np
import pytest

from gan_augment.errors import UsageError
from gan_augment.synthesizers.base import checked_counts


@pytest.mark.parametrize("count", ["3", None, 2.5, -1, float("nan"), float("inf")])
def test_a_count_that_is_no_whole_number_is_refused(count):
    with pytest.raises(UsageError, match="samples of 'rare' were asked for"):
        checked_counts({"rare": count})


def test_whole_counts_of_any_type_are_taken():
    assert checked_counts({"a": np.int64(3), "b": 2.0, "c": 0}) == {"a": 3, "b": 2, "c": 0}
