"""Writes what the commands of README.md and docs/ print: their output comes from a real run.

    python examples/documents.py              # all documents
    python examples/documents.py README.md    # one

In a ```console block a line after "$ " is a command, and the lines below it are its output. Blocks
with output are run in a folder that holds payments.csv (1,500 payments drawn by payments.py, 81 of
them frauds), and their output is replaced. A line "..." stands for lines left out.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from payments import payments

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"(?<=^```console\n)(.*?)(?=^```)", re.MULTILINE | re.DOTALL)
LEFT_OUT = "..."


def write_data(folder: Path) -> None:
    """Write payments.csv with the column fraud, "yes" or "no"."""
    known, _ = payments()
    known["fraud"] = known.pop("kind").map({"fraud": "yes", "fine": "no"})
    known.to_csv(folder / "payments.csv", index=False)


def printed(command: str, folder: Path) -> list[str]:
    """Run a command in the folder; return the lines of its standard output."""
    words = shlex.split(command, comments=True)
    module = ["-m", "gan_augment_cli"] if words[0] == "gan-augment" else []
    words = [sys.executable, *module, *words[1:]]  # of gan-augment or python
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.rstrip().splitlines()


def shortened(output: list[str], before: list[str]) -> list[str]:
    """Leave out the lines that the document leaves out.

    A part after "..." begins at the line of the output with the same two first words.
    """
    parts: list[list[str]] = [[]]
    for line in before:
        parts.append([]) if line == LEFT_OUT else parts[-1].append(line)
    kept = output[: len(parts[0])] if parts[1:] else output
    for part in parts[1:]:
        words = part[0].split()[:2]
        start = next(n for n, line in enumerate(output) if line.split()[:2] == words)
        kept = [*kept, LEFT_OUT, *output[start : start + len(part)]]
    return kept


def has_output(block: str) -> bool:
    """Whether a block shows more than commands."""
    return not all(line.startswith("$ ") for line in block.strip().splitlines())


def refreshed(block: str, folder: Path) -> str:
    """Return a block whose outputs are those of today."""
    lines = block.rstrip("\n").split("\n")
    starts = [number for number, line in enumerate(lines) if line.startswith("$ ")]
    out: list[str] = []
    for start, stop in zip(starts, [*starts[1:], len(lines)], strict=True):
        output = printed(lines[start].removeprefix("$ "), folder)
        out += [lines[start], *shortened(output, lines[start + 1 : stop])]
    return "\n".join(out) + "\n"


def main(asked: list[str]) -> None:
    """Refresh the documents asked for, or all."""
    everything = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    for path in map(Path, asked) if asked else everything:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_data(folder)
            blocks = BLOCK.split(path.read_text(encoding="utf-8"))  # text, block, text, ...
            blocks[1::2] = [
                refreshed(block, folder) if has_output(block) else block for block in blocks[1::2]
            ]
            path.write_text("".join(blocks), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
