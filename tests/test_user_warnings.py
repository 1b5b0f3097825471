"""Where a warning of the library points."""

from __future__ import annotations

from pathlib import Path

import pytest

import gan_augment
from gan_augment.synthesizers.pickling import machine_here

PACKAGE = Path(gan_augment.__file__).parent


@pytest.mark.parametrize("file", [Path("train.py"), PACKAGE.parent / "gan_augment_trial.py"])
def test_it_points_at_the_callers_line_even_in_a_file_beside_the_package(file: Path) -> None:
    script = "\n\nmachine_here('cuda:99', 'float32', 1)"
    with pytest.warns(UserWarning, match="on the processor now") as caught:
        exec(compile(script, str(file), "exec"), {"machine_here": machine_here})  # noqa: S102
    assert [(one.filename, one.lineno) for one in caught] == [(str(file), 3)]
