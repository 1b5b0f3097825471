"""Every example runs as a person runs it, says what it promises, and stands in the gallery."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
sys.path.insert(0, str(EXAMPLES))

import documents  # noqa: E402
import gallery  # noqa: E402

SAYS = {
    "01_folder.py": "topped-up",
    "02_arrays.py": "ten again are the first ten: True",
    "03_tensorboard_callback.py": "score/value",
    "04_table.py": "the saved model draws the same rows: True",
    "05_pipeline_grid.py": "4 models were trained",
    "06_image_array_pipeline.py": "the saved model draws the same pictures: True",
    "07_training_script.py": "recall of rare digits",
    "08_command_line.py": "Correct the decision",
    "09_own_training_function.py": "the verdict: INSUFFICIENT DATA",
    "10_evaluate_report.py": "Correct the decision",
    "11_metrics.py": "expected: 0.97",
    "12_photos.py": "128 photos, 64 features each",
    "13_signals.py": "in memory: ",
}
SAME_NUMBERS = {"11_metrics.py"}  # nothing is trained
SAME_WORDS = {
    "02_arrays.py",
    "03_tensorboard_callback.py",
    "05_pipeline_grid.py",
    "06_image_array_pipeline.py",
    "08_command_line.py",
    "10_evaluate_report.py",
}


def printed(entry: str) -> str:
    return entry.partition("```text\n")[2].partition("\n```")[0]


def words(text: str) -> list[str]:
    """Without numbers: training moves them from one processor to another."""
    return re.sub(r"-?\d[\d.,]*", "#", text).split()


def test_every_numbered_example_is_run_here_and_stands_in_the_gallery() -> None:
    assert gallery.names() == sorted(SAYS)
    entries = gallery.sections(gallery.README.read_text(encoding="utf-8"))
    assert sorted(entries) == ["", *sorted(SAYS)]
    for name in SAYS:
        assert entries[name] == gallery.section(name, printed(entries[name]))


def test_every_picture_of_the_gallery_is_there_small_and_shown() -> None:
    shown = gallery.README.read_text(encoding="utf-8")
    pictures = sorted((EXAMPLES / "pictures").iterdir())
    assert [path.stem for path in pictures] == [Path(name).stem for name in gallery.PICTURES]
    assert [path for path in pictures if f"(pictures/{path.name})" not in shown] == []
    assert [path for path in pictures if path.stat().st_size > 100_000] == []


RUN_IN_THE_GATE = {
    "01_folder.py",
    "04_table.py",
    "05_pipeline_grid.py",
    "07_training_script.py",
    "08_command_line.py",
    "10_evaluate_report.py",
    "12_photos.py",
    "13_signals.py",
}
MARKED = [
    pytest.param(name, marks=pytest.mark.slow if name in RUN_IN_THE_GATE else pytest.mark.campaign)
    for name in sorted(SAYS)
]


@pytest.mark.parametrize("name", MARKED)
def test_the_example_runs_and_prints_what_the_gallery_shows(name: str, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(EXAMPLES.parent), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / name), "out"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert SAYS[name] in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) in ([], ["out"])
    shown = printed(gallery.sections(gallery.README.read_text(encoding="utf-8"))[name])
    now = gallery.shown(done.stdout)
    if name in SAME_NUMBERS:
        assert now == shown
    elif name in SAME_WORDS:
        assert words(now) == words(shown)


@pytest.mark.slow
def test_the_readme_shows_what_its_command_prints(tmp_path: Path) -> None:
    documents.write_data(tmp_path)
    readme = (EXAMPLES.parent / "README.md").read_text(encoding="utf-8")
    (block,) = [one for one in documents.BLOCK.findall(readme) if documents.has_output(one)]
    assert words(documents.refreshed(block, tmp_path)) == words(block)
