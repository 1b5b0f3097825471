"""Makes the gallery: runs every example, and writes what it printed and drew into README.md.

    python examples/gallery.py                # all of them, and the notebook
    python examples/gallery.py 11_metrics.py  # one, the rest stays as it is

Pictures go to examples/pictures/. Those of generated images come from longer fits than an example
has by default (`STEPS`).
"""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

HERE = Path(__file__).resolve().parent
README, NOTEBOOK = HERE / "README.md", HERE / "walkthrough.ipynb"
STEPS = {
    "01_folder.py": 600,
    "02_arrays.py": 600,
    "03_tensorboard_callback.py": 600,
    "06_image_array_pipeline.py": 600,
    "13_signals.py": 600,
}
PICTURES = {  # where an example leaves its picture, and what can be seen on it
    "01_folder.py": ("run/samples.png", "real bars, crosses and rings, generated ones under each"),
    "02_arrays.py": ("bars.png", "eight real bars above twenty-four generated ones"),
    "03_tensorboard_callback.py": ("curves.png", "two losses and the score over the steps"),
    "06_image_array_pipeline.py": ("eights.png", "twenty real 8s above forty generated ones"),
    "10_evaluate_report.py": (
        "report.html",
        "the top of a report: recommendation, code, and the gain of every remedy",
    ),
    "11_metrics.py": ("moons.png", "rows of four generators over two half moons of real rows"),
    "13_signals.py": ("run/samples.png", "waves of real beats, generated ones under each"),
}
MOST_LINES = 48


def names() -> list[str]:
    """The examples, in order."""
    return sorted(path.name for path in HERE.glob("[0-9]*.py"))


def shown(printed: str) -> str:
    """What an example printed, as the gallery shows it: long outputs lose their middle."""
    lines = [line.rstrip() for line in printed.rstrip().splitlines()]
    if len(lines) > MOST_LINES:
        head, tail = MOST_LINES // 2, MOST_LINES // 2 - 1
        left_out = f"... {len(lines) - head - tail} lines more ..."
        lines = [*lines[:head], left_out, *lines[-tail:]]
    return "\n".join(lines)


def section(name: str, printed: str) -> str:
    """The entry of one example: its docstring, its picture, what it printed."""
    about = ast.get_docstring(ast.parse((HERE / name).read_text(encoding="utf-8"))) or ""
    parts = [f"## [{name}]({name})", about]
    if name in PICTURES:
        parts.append(f"![{PICTURES[name][1]}](pictures/{Path(name).stem}.png)")
    if name in STEPS:
        parts.append(f"After {STEPS[name]:,} steps:")
    return "\n\n".join([*parts, f"```text\n{shown(printed)}\n```"])


def sections(readme: str) -> dict[str, str]:
    """The entries of a README by the name of their example; "" is what stands above them."""
    above, *entries = re.split(r"^(?=## \[)", readme, flags=re.MULTILINE)
    return {"": above.strip()} | {entry[4 : entry.index("]")]: entry.strip() for entry in entries}


def run(name: str, out: Path) -> str:
    """Run an example as a person does, in the folder that holds `out`; what it printed."""
    command = [sys.executable, str(HERE / name), out.name]
    if name in STEPS:
        command.append(str(STEPS[name]))
    done = subprocess.run(command, cwd=out.parent, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


def keep_picture(found: Path, picture: Path) -> None:
    """Copy a picture; of a page, take one with chromium. Without chromium the old one stays."""
    picture.parent.mkdir(exist_ok=True)
    if found.suffix != ".html":
        shutil.copyfile(found, picture)
    elif chromium := shutil.which("chromium"):
        flags = ["--headless", "--no-sandbox", "--hide-scrollbars", "--window-size=960,1180"]
        command = [chromium, *flags, f"--screenshot={picture}", found.as_uri()]
        subprocess.run(command, check=True, capture_output=True)
        Image.open(picture).quantize(64).save(picture, optimize=True)


def execute_notebook() -> None:
    """Run the notebook from its first cell and keep what it shows, so that a reader sees it."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(NOTEBOOK, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        NotebookClient(notebook, resources={"metadata": {"path": folder}}).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # times
    nbformat.write(notebook, NOTEBOOK)


def main(asked: list[str]) -> None:
    """Make the entries of the examples asked for, or of all, and the notebook."""
    entries = sections(README.read_text(encoding="utf-8"))
    for name in asked or names():
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "out"
            entries[name] = section(name, run(name, out))
            if name in PICTURES:
                keep_picture(out / PICTURES[name][0], HERE / "pictures" / f"{Path(name).stem}.png")
        print(f"{name}: done", file=sys.stderr)
    kept = ["", *names()]
    text = "\n\n".join(entries[name] for name in kept if name in entries)
    README.write_text(text + "\n", encoding="utf-8")
    if not asked:
        execute_notebook()


if __name__ == "__main__":
    main(sys.argv[1:])
