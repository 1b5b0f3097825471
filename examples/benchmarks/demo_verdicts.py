"""The verdicts that the demos end with: `gan-augment evaluate` on the demos' own data.

    python examples/benchmarks/demo_verdicts.py --out gan_augment/workflows/demo_verdicts.json

Minutes on two idle cores. `--only cells` keeps the other one as it is.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import gan_augment
from gan_augment.storage import write_file
from gan_augment.workflows.demo_verdicts import FLAGS, DemoData, evaluate_command
from gan_augment.workflows.demonstration import cut_digits, write_folder
from gan_augment.workflows.table_demonstration import breast_cancer, cut


def write_data(which: DemoData, home: Path) -> Path:
    """The data of a demo, as the demo itself writes it."""
    if which == "digits":
        write_folder(home / "digits", cut_digits()[0])
        return home / "digits"
    frame = breast_cancer()
    (home / "cells.csv").write_bytes(frame.iloc[cut(frame, 0)[0]].to_csv(index=False).encode())
    return home / "cells.csv"


def measured(which: DemoData) -> dict[str, Any]:
    """What the command says of the data, run as a user runs it."""
    with tempfile.TemporaryDirectory() as folder:
        line = evaluate_command(which, write_data(which, Path(folder)))
        run = subprocess.run(
            [sys.executable, "-m", "gan_augment_cli", *line[1:], "--json"],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    told = json.loads(run.stdout)
    return {
        "flags": list(FLAGS[which]),
        "verdict": told["verdict"],
        "sentence": told["sentence"],
        "date": datetime.now(UTC).strftime("%B %Y"),
        "library": gan_augment.__version__,
    }


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", choices=list(FLAGS), action="append")
    asked = parser.parse_args()
    found = json.loads(asked.out.read_text("utf-8")) if asked.out.is_file() else {}
    for which in asked.only or FLAGS:
        found[which] = measured(which)
        print(which, found[which])
        write_file(asked.out, (json.dumps(found, indent=1, ensure_ascii=False) + "\n").encode())


if __name__ == "__main__":
    main()
