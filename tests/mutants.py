"""Whether the tests notice small faults: each is put into a copy of the library, and must fail one.

    python tests/mutants.py [--only WORD] [--jobs 2]

A fault is one line that is changed as a mistake would change it. Its tests are run on the copy
until the first one fails; a fault that passes them all is named, and the script ends with 1.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COPIED = ("gan_augment", "cli", "tests", "examples", "pyproject.toml", "README.md")


@dataclass(frozen=True)
class Mutant:
    """A fault: in `file`, below gan_augment/, `was` becomes `becomes`; `tests` should notice."""

    file: str
    was: str
    becomes: str
    tests: str


MUTANTS = (
    # losses and penalties
    Mutant("losses/adversarial.py", "F.relu(1 + fake).mean()", "F.relu(fake).mean()", "losses"),
    Mutant(
        "losses/adversarial.py",
        "return F.softplus(real - fake)",
        "return F.softplus(fake - real)",
        "losses",
    ),
    Mutant("losses/penalties.py", "return squared.mean() / 2", "return squared.mean()", "losses"),
    Mutant("losses/penalties.py", "torch.lerp(fake, real,", "torch.lerp(real, fake,", "losses"),
)


def survives(mutant: Mutant) -> str:
    """Why a mutant is not caught, in words; empty where a test failed on it."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(source, copy / name)
        file = copy / "gan_augment" / mutant.file
        text = file.read_text(encoding="utf-8")
        if text.count(mutant.was) != 1:
            return f"{mutant.was!r} stands {text.count(mutant.was)} times in it; expected once"
        file.write_text(text.replace(mutant.was, mutant.becomes), encoding="utf-8")
        paths = [f"tests/{name}" for name in mutant.tests.split()]
        line = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *paths]
        single = {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join((folder, f"{folder}/cli"))}
        run = subprocess.run(
            line,
            cwd=copy,
            env={**os.environ, **single},
            capture_output=True,
            text=True,
            check=False,
        )
        if run.returncode == 1:
            return ""
        return "no test failed" if run.returncode == 0 else run.stdout[-500:] + run.stderr[-500:]


def main() -> None:
    """Try every mutant and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="mutants whose file holds this word")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    chosen = [mutant for mutant in MUTANTS if options.only in mutant.file]
    with ThreadPoolExecutor(options.jobs) as pool:
        answers = list(zip(chosen, pool.map(survives, chosen), strict=True))
    for mutant, why in answers:
        print(f"{'SURVIVES' if why else 'caught  '} {mutant.file}: {mutant.becomes} {why}")
    caught = sum(not why for _, why in answers)
    print(f"{caught} passed, {len(answers) - caught} failed")
    sys.exit(caught < len(answers))


if __name__ == "__main__":
    main()
