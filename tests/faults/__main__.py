"""Things go wrong on purpose, hundreds of times: nothing may be lost, half-written or undocumented.

    python -m tests.faults [--full] [--only kills,images] [--out SUMMARY.json]

`make faults` takes a sample of each campaign, `make faults-full` the counts of RELIABILITY.md.
Every trial that went wrong is printed; then the command ends with 1.
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
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SUMMARY = ROOT / "examples" / "benchmarks" / "faults.json"


@dataclass
class Tally:
    """What came of the trials of a campaign."""

    ends: collections.Counter[str]
    wrong: list[str]

    def add(self, end: str, wrong: str = "") -> None:
        """Count one trial; `wrong` says what it should not have done."""
        self.ends["wrong" if wrong else end] += 1
        if wrong:
            self.wrong.append(wrong)
            print(f"  WRONG: {wrong}", flush=True)


Campaign = Callable[[Any, int, Tally], None]


def at_operations(kind: str) -> Campaign:
    """Trials of every command in turn, each at an operation drawn from all that it makes."""

    def campaign(place: Any, n: int, tally: Tally) -> None:
        from tests.faults.commands import WORKS, trial
        from tests.faults.disk import Fault

        drawn = random.Random(n)
        works = [work for work in WORKS if work.name != "report" or kind != "torn"]
        for number in range(n):
            work = works[number % len(works)]
            at = drawn.randint(1, place.operations(work))
            wrong = trial(place, work, Fault(kind, at, number))  # type: ignore[arg-type]
            where = f"{kind} at operation {at} of {work.name} (seed {number})"
            tally.add("as promised", f"{where}: {wrong}" if wrong else "")

    return campaign


def evaluations(place: Any, n: int, tally: Tally) -> None:
    """Kill evaluations of two worker processes at random moments, and go on each time."""
    from tests.conftest import run_process
    from tests.evaluation.test_killed import kills_at_random_moments

    for _ in range(
        kills_at_random_moments(place.root / "evaluations", n, partial(run_process, timeout=900))
    ):
        tally.add("as promised")


def two_starts(place: Any, n: int, tally: Tally) -> None:
    """Two commands at one place at once, their operations delayed: one wins, one exits 75."""
    from tests.faults.commands import WORKS
    from tests.faults.rivals import rivalry

    works = [work for work in WORKS if work.other]
    for number in range(n):
        work = works[number % len(works)]
        wrong = rivalry(place, work, number)
        tally.add("one won", f"two starts of {work.name} (seed {number}): {wrong}" if wrong else "")


def models(place: Any, n: int, tally: Tally) -> None:
    """Saved models with forged descriptions, forged arrays and damaged files."""
    from tests.faults.mutations import in_a_child, save_toys, try_saved

    folder = place.root / "models"
    assert not in_a_child(lambda: save_toys(folder))["wrong"]
    for kind, share in (("table", n - n // 2), ("image", n // 2)):
        for first in range(0, share, 50):
            count = min(50, share - first)
            seed = first + (kind == "image")
            answer = in_a_child(lambda: try_saved(folder, kind, seed, count))  # noqa: B023
            for end, number in answer["tally"].items():
                tally.ends[end] += number
            for wrong in answer["wrong"]:
                tally.add("", f"a mutated {kind} model (seed {seed}): {wrong}")


def images(place: Any, n: int, tally: Tally) -> None:
    """Image files that are cut, flipped, overwritten, or with a piece doubled."""
    from tests.images.test_hostile_files import read_mutated

    for end, number in read_mutated(n, seed=n).items():
        tally.ends[end] += number


def tables(place: Any, n: int, tally: Tally) -> None:
    """Frames of any columns, learned and sampled, or refused in words."""
    from tests.property.test_generated_tables import read_frames, tally_of_learning

    for end, number in tally_of_learning(n).items():
        tally.ends[end] += number
    read_frames(5 * n)
    tally.ends["read"] += 5 * n


def options(place: Any, n: int, tally: Tally) -> None:
    """Commands with one to three options of odd values."""
    from tests.faults.commands import Place
    from tests.faults.oddities import odd_command

    shutil.copytree(place.base, place.root / "odd" / "base")  # some name it as their output
    own = Place(place.root / "odd")
    for number in range(n):
        end, wrong = odd_command(own, number)
        tally.add(end, wrong)


CAMPAIGNS: dict[str, tuple[Campaign, int, int]] = {  # and how many trials: in a sample, in full
    "kills": (at_operations("kill"), 60, 240),
    "killed evaluations": (evaluations, 4, 20),
    "torn writes": (at_operations("torn"), 22, 44),
    "full disks": (at_operations("full"), 36, 120),
    "read-only disks": (at_operations("read-only"), 24, 120),
    "two starts": (two_starts, 22, 55),
    "mutated models": (models, 200, 1_000),
    "mutated images": (images, 400, 2_000),
    "generated tables": (tables, 100, 1_000),
    "odd options": (options, 60, 300),
}


def main() -> int:
    """Run the campaigns; 1 where something went wrong."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--full", action="store_true", help="the counts of RELIABILITY.md")
    parser.add_argument("--only", default=",".join(CAMPAIGNS), help="names with commas")
    parser.add_argument("--out", type=Path, default=None, help="the summary, as JSON")
    parser.add_argument("--trials", type=int, default=None, help="of each campaign")
    given = parser.parse_args()
    sys.path[:0] = [str(ROOT / name) for name in ("tests/guard", "tests/images", "cli")]
    os.environ["OMP_NUM_THREADS"] = "1"
    import tests.conftest  # the environment of every test, the closed network among it
    from tests.faults.commands import Place
    from tests.faults.disk import warm_up

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
