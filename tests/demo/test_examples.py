"""Every example runs as a person runs it, and says what it promises."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
SAYS = {
    "01_folder.py": "topped-up",
    "02_arrays.py": "ten again are the first ten: True",
    "03_tensorboard_callback.py": "score/value",
    "04_table.py": "the saved model draws the same rows: True",
    "05_pipeline_grid.py": "4 models were trained",
    "06_image_array_pipeline.py": "the saved augmenter draws the same pictures: True",
    "07_training_script.py": "after: 8 batches an epoch",
    "08_augmented_classifier.py": "chosen: ",
    "09_own_training_function.py": "the verdict: INSUFFICIENT DATA",
}


def test_every_numbered_example_is_run_here_and_named_in_the_readme() -> None:
    found = sorted(path.name for path in EXAMPLES.glob("[0-9]*.py"))
    assert found == sorted(SAYS)
    readme = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert [name for name in found if name not in readme] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(SAYS))
def test_the_example_runs(name: str, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(EXAMPLES.parent), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / name), str(tmp_path / "out")],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert SAYS[name] in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) in ([], ["out"])
