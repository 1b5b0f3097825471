"""Fault injection: run commands on disks that fail, and check that nothing is lost or half-written.

    python -m tools.faults [--full] [--only kills,options] [--out SUMMARY.json]

`make faults` runs a sample of each campaign, `make faults-full` the full counts. Failed trials are
printed, and the command then exits with 1. Killed evaluations, damaged models and images, and
generated tables are covered by tests.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import platform
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Tally:
    """The outcomes of a campaign."""

    ends: collections.Counter[str]
    wrong: list[str]

    def add(self, end: str, wrong: str = "") -> None:
        """Count one trial; `wrong` describes a failure."""
        self.ends["wrong" if wrong else end] += 1
        if wrong:
            self.wrong.append(wrong)
            print(f"  WRONG: {wrong}", flush=True)


Campaign = Callable[[Any, int, Tally], None]


def at_operations(kind: str) -> Campaign:
    """Return a campaign that runs every command in turn, with a fault at a random operation."""

    def campaign(place: Any, n: int, tally: Tally) -> None:
        from tools.faults.commands import WORKS, trial
        from tools.faults.disk import Fault

        drawn = random.Random(n)
        works = [work for work in WORKS if work.name != "report" or kind != "torn"]
        for number in range(n):
            work = works[number % len(works)]
            at = drawn.randint(1, place.operations(work))
            wrong = trial(place, work, Fault(kind, at, number))  # type: ignore[arg-type]
            where = f"{kind} at operation {at} of {work.name} (seed {number})"
            tally.add("as promised", f"{where}: {wrong}" if wrong else "")

    return campaign


def two_starts(place: Any, n: int, tally: Tally) -> None:
    """Start two commands at one place at once, on a slow disk: one wins, one exits with 75."""

    from tools.faults.commands import WORKS, rivalry

    works = [work for work in WORKS if work.other]
    for number in range(n):
        work = works[number % len(works)]
        wrong = rivalry(place, work, number)
        tally.add("one won", f"two starts of {work.name} (seed {number}): {wrong}" if wrong else "")


def options(place: Any, n: int, tally: Tally) -> None:
    """Run commands with one to three options of odd values."""
    from tools.faults.commands import Place
    from tools.faults.oddities import odd_command

    shutil.copytree(place.base, place.root / "odd" / "base")  # some name it as their output
    own = Place(place.root / "odd")
    for number in range(n):
        end, wrong = odd_command(own, number)
        tally.add(end, wrong)


CAMPAIGNS: dict[str, tuple[Campaign, int, int]] = {  # (campaign, few trials, full trials)
    "kills": (at_operations("kill"), 60, 240),
    "torn writes": (at_operations("torn"), 22, 44),
    "full disks": (at_operations("full"), 36, 120),
    "read-only disks": (at_operations("read-only"), 24, 120),
    "two starts": (two_starts, 22, 55),
    "odd options": (options, 60, 300),
}


def main() -> int:
    """Run the campaigns; return 1 if a trial failed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--full", action="store_true", help="the full counts")
    parser.add_argument("--only", default=",".join(CAMPAIGNS), help="names with commas")
    parser.add_argument("--out", type=Path, default=None, help="the summary, as JSON")
    parser.add_argument("--trials", type=int, default=None, help="of each campaign")
    given = parser.parse_args()
    sys.path[:0] = [str(ROOT / name) for name in ("tests/guard", "tests/images", "cli")]
    os.environ["OMP_NUM_THREADS"] = "1"
    import tests.conftest  # the environment of the tests, without a network
    from tools.faults.commands import Place
    from tools.faults.disk import warm_up

    assert tests.conftest
    warm_up()
    summary: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="faults-") as root:
        place = Place.new(Path(root).resolve())
        for name in given.only.split(","):
            campaign, few, many = CAMPAIGNS[name]
            n = given.trials or (many if given.full else few)
            tally, begun_s = Tally(collections.Counter(), []), time.monotonic()
            try:
                campaign(place, n, tally)
            except Exception as error:
                tally.add("", f"{name}: {type(error).__name__}: {error}"[:2000])
            spent_s = round(time.monotonic() - begun_s)
            trials = sum(tally.ends.values())
            summary[name] = {"trials": trials, "ends": dict(tally.ends), "seconds": spent_s}
            print(f"{name}: {trials} trials in {spent_s} s, {dict(tally.ends)}", flush=True)
        place.check_given()
    wrong = sum(each["ends"].get("wrong", 0) for each in summary.values())
    if given.out:
        machine = f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}"
        values = {"full": given.full, "machine": machine, "wrong": wrong, "campaigns": summary}
        given.out.write_text(json.dumps(values, indent=1) + "\n")
    print(f"{wrong} went wrong")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
