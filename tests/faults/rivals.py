"""Two commands at one place, begun at the same moment on a slow disk."""

from __future__ import annotations

import os
import random
import shutil

from tests.cli.conftest import contents
from tests.faults.commands import Place, Work, is_left_over, visible
from tests.faults.disk import Child, Ended, Fault


def rivalry(place: Place, work: Work, seed: int) -> str:
    """Start both, one with other arguments; what is wrong with how they end, or nothing."""
    wholes = {0: place.whole(work), 1: place.whole(work, work.other)}
    for attempt in range(5):
        home = place.home(work)
        ends = _both(work, home, random.Random(f"{seed} {attempt}"))
        codes = [ended.code for ended in ends]
        # one that the machine let begin only when the other had ended is no rival
        if sorted(codes) != [0, 2] or "is there already" not in _errors(ends):
            break
        shutil.rmtree(home)
    if sorted(codes) != [0, 75]:
        return f"they ended with {codes}: {_errors(ends)[-400:]}"
    if visible(home) != wholes[codes.index(0)]:
        return "what is there is not the winner's"
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


def _errors(ends: list[Ended]) -> str:
    return " | ".join(ended.err for ended in ends)
