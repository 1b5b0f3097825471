"""The commands under test, and the checks of what they leave after a fault."""

from __future__ import annotations

import json
import os
import random
import shutil
import tomllib
from dataclasses import dataclass
from pathlib import Path

from gan_augment.storage.bundle import load_bundle
from tests.cli.conftest import contents, write_images
from tests.commands.conftest import write_table_file
from tools.faults.disk import Child, Ended, Fault, command, warm_up

_TIMED = ("history.jsonl", "journal.jsonl", "timings.json", "report.html")
_LOGS = ("history.jsonl", "journal.jsonl")
_EVALUATE = "--learner logistic --folds 2 --repeats 1 --arms oversample --n-jobs 1 --force"


@dataclass(frozen=True)
class Work:
    """A command line.

    old: more arguments of an earlier run at the same place; the command then has --overwrite.
    other: more arguments of a rival at the same place.
    """

    name: str
    args: str
    old: str = ""
    other: str = ""
    resumes: bool = True

    @property
    def words(self) -> list[str]:
        """Return the arguments."""
        return [*self.args.split(), *(["--overwrite"] if self.old else [])]


WORKS = (
    Work("fit-images", "fit ../base/photos --out out --steps 4", other="--seed 1"),
    Work("fit-table", "fit ../base/t.csv --target fraud --out out --steps 3", other="--seed 1"),
    Work("sample-images", "sample ../base/images out --counts 9", other="--seed 1", resumes=False),
    Work(
        "sample-table", "sample ../base/table out.csv --counts 9", other="--seed 1", resumes=False
    ),
    Work(
        "sample-table-anew",
        "sample ../base/table out.csv --counts 9",
        "--seed 2",
        "--seed 1",
        resumes=False,
    ),
    Work(
        "augment-images",
        "augment ../base/photos out --model ../base/images",
        other="--seed 1",
        resumes=False,
    ),
    Work(
        "augment-images-anew",
        "augment ../base/photos out --model ../base/images",
        "--seed 2",
        "--seed 1",
        resumes=False,
    ),
    Work(
        "augment-table",
        "augment ../base/t.csv out.csv --model ../base/table",
        other="--mark",
        resumes=False,
    ),
    Work(
        "augment-table-anew",
        "augment ../base/t.csv out.csv --model ../base/table",
        "--seed 2",
        "--mark",
        resumes=False,
    ),
    Work(
        "augment-and-fit",
        "augment ../base/t.csv out.csv --target fraud --steps 3 --run run",
        other="--seed 1",
        resumes=False,
    ),
    Work(
        "evaluate",
        f"evaluate ../base/t.csv --target fraud --out out {_EVALUATE}",
        other="--seed 1",
    ),
    Work("report", "report ../base/evaluation --out out.html", resumes=False),
)


class Place:
    """Data and models to read, and the output of each command without a fault."""

    def __init__(self, root: Path) -> None:
        self.root, self.base = root, root / "base"
        self._homes = 0
        self._wholes: dict[tuple[str, str], dict[str, bytes]] = {}
        self._operations: dict[str, int] = {}
        self._old: dict[str, Path] = {}
        self.given = contents(self.base)

    @classmethod
    def new(cls, root: Path) -> Place:
        """Make the data and the models, and import the modules that this took."""
        base = root / "base"
        base.mkdir()
        write_images(base / "photos", {"common": 30, "rare": 6})
        write_table_file(base / "t.csv", {"no": 48, "yes": 12})
        for args in (
            "fit photos --out images --steps 4",
            "fit t.csv --target fraud --out table --steps 3",
            f"evaluate t.csv --target fraud --out evaluation {_EVALUATE}",
        ):
            ended = command(args.split(), base)
            assert ended.code == 0, ended
            warm_up(ended)
        return cls(root)

    def undisturbed(self, args: list[str], home: Path) -> Ended:
        """Run a command that must succeed."""
        ended = command(args, home)
        assert ended.code == 0, (args, ended)
        return ended

    def home(self, work: Work | None = None) -> Path:
        """Make a folder with the output of an earlier run."""
        self._homes += 1
        home = self.root / f"home-{self._homes}"
        if work is not None and work.old:
            if work.name not in self._old:
                kept = self.home()
                self.undisturbed([*work.args.split(), *work.old.split()], kept)
                self._old[work.name] = kept
            shutil.copytree(self._old[work.name], home, copy_function=shutil.copy2)
        else:
            home.mkdir()
        return home

    def whole(self, work: Work, more: str = "") -> dict[str, bytes]:
        """Return the output of the command without a fault, with `more` arguments."""
        if (work.name, more) not in self._wholes:
            home = self.home(work)
            ended = self.undisturbed([*work.words, *more.split()], home)
            self._wholes[work.name, more] = visible(home)
            if not more:
                self._operations[work.name] = ended.operations
            shutil.rmtree(home)
        return self._wholes[work.name, more]

    def operations(self, work: Work) -> int:
        """Count the file operations of the command."""
        self.whole(work)
        return self._operations[work.name]

    def old(self, work: Work) -> dict[str, bytes]:
        """Return the output of an earlier run."""
        if not work.old:
            return {}
        shutil.rmtree(self.home(work))
        return visible(self._old[work.name])

    def check_given(self) -> None:
        """Check that data and models are unchanged."""
        assert contents(self.base) == self.given, "a command wrote into what it was given"


def is_left_over(name: str) -> bool:
    """Tell whether a path belongs to a temporary file or folder."""
    return any(".tmp-" in part or ".old-" in part for part in Path(name).parts)


def visible(home: Path) -> dict[str, bytes]:
    """Return every file but hidden, temporary and timed ones."""
    found = {}
    for name, content in contents(home).items():
        parts = Path(name).parts
        if is_left_over(name) or parts[-1].startswith(".") or parts[-1] in _TIMED:
            continue
        if "models" not in parts:
            found[name] = content
    return found


def problem_left(home: Path, whole: dict[str, bytes], old: dict[str, bytes]) -> str:
    """Describe half-written files under final names, or return ""."""
    left = visible(home)
    for name, content in left.items():
        path = Path(name)
        if content in (whole.get(name), old.get(name)):
            continue
        if path.name == "config.toml":
            tomllib.loads(content.decode())
        elif path.suffix == ".safetensors":  # a checkpoint may be of an earlier step
            load_bundle(home / path, schema=dict)
        else:
            return f"{name} is neither whole nor the old one"
    lost = [name for name in old if name not in left]
    if lost and len(old) < 3:  # of a table; a folder that is replaced is emptied first
        return f"{lost[0]} of the old output is gone"
    return _problem_in_logs(home)


def _problem_in_logs(home: Path) -> str:
    for name, content in contents(home).items():
        if Path(name).name in _LOGS and not is_left_over(name):
            for line in content.split(b"\n")[:-1]:
                json.loads(line)
    return ""


def gone_on(place: Place, work: Work, home: Path) -> str:
    """Resume, or start again; describe a wrong end, or return ""."""
    whole, old, before = place.whole(work), place.old(work), visible(home)
    again = [word for word in work.words if word != "--overwrite"]
    resumed = command([*again, "--resume"], home) if work.resumes else None
    if resumed is None or resumed.code:
        begun = before not in ({}, old) if work.resumes else False
        if resumed and (resumed.code != 2 or begun):
            return f"--resume ended with {resumed.code}: {resumed.err[-300:]}"
        anew = command(work.words, home)
        if anew.code == 2 and not work.resumes:  # it is there already, maybe without its manifest
            anew = command([*work.words, "--overwrite"], home)
        if anew.code:
            return f"a new start ended with {anew.code}: {anew.err[-300:]}"
    after = visible(home)
    if after != whole:
        odd = sorted(name for name in {*after, *whole} if after.get(name) != whole.get(name))
        return f"{odd[:3]} differ from an undisturbed run's"
    left = [name for name in contents(home) if is_left_over(name)]
    return f"{left[0]} is left over" if left else ""


def trial(place: Place, work: Work, fault: Fault) -> str:
    """Run a command with a fault, then again without; describe a failure, or return ""."""
    whole, old = place.whole(work), place.old(work)
    home = place.home(work)
    ended = command(work.words, home, fault)
    killed = fault.kind in ("kill", "torn")
    refused = fault.kind in ("full", "read-only")
    if killed and ended.code not in (-9, 0):
        return f"it ended with {ended.code}: {ended.err[-300:]}"
    if refused:
        last = ended.err.strip().splitlines()[-1:] or [""]
        if ended.code == 0:
            if visible(home) != whole:
                return "it ended with 0, and is not whole"
        elif ended.code != 74 or not last[0].startswith("error: ") or "Traceback" in ended.err:
            return f"it ended with {ended.code}: {ended.err[-400:]}"
    wrong = problem_left(home, whole, old)
    if fault.kind == "full" and not wrong:
        left = [name for name in contents(home) if is_left_over(name)]
        wrong = f"{left[0]} is left on a full disk" if left else ""
    wrong = wrong or gone_on(place, work, home)
    if not wrong:
        shutil.rmtree(home)
    return wrong


def rivalry(place: Place, work: Work, seed: int) -> str:
    """Start two commands at once on a slow disk; describe a wrong end, or return ""."""
    wholes = {0: place.whole(work), 1: place.whole(work, work.other)}
    for attempt in range(5):
        home = place.home(work)
        ends = _both(work, home, random.Random(f"{seed} {attempt}"))
        codes, errors = [ended.code for ended in ends], " | ".join(ended.err for ended in ends)
        # the second command may have started after the first one ended
        if sorted(codes) != [0, 2] or "is there already" not in errors:
            break
        shutil.rmtree(home)
    if sorted(codes) != [0, 75]:
        return f"they ended with {codes}: {errors[-400:]}"
    if visible(home) != wholes[codes.index(0)]:
        return "the output is not the winner's"
    left = [name for name in contents(home) if is_left_over(name) or name.endswith(".lock")]
    if left:
        return f"{left[0]} is left over"
    shutil.rmtree(home)
    return ""


def _both(work: Work, home: object, drawn: random.Random) -> list[Ended]:
    gate = os.pipe()
    children = [
        Child(
            [*work.words, *more.split()],
            home,  # type: ignore[arg-type]
            Fault("delay", drawn.randint(6, 12), drawn.randrange(10**6)),
            gate,
        )
        for more in ("", work.other)
    ]
    for end in gate:
        os.close(end)
    return [child.wait() for child in children]
