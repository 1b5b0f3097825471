"""How a generator's training went: losses, scores and what happened, few enough to be drawn."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

MOST_POINTS = 100
_LOSSES = ("reconstruction", "d_loss", "g_loss")

Points = list[list[float]]


class TrainingCurve:
    """A callback of one fit. What a rollback undid is dropped, but for the rollback itself.

    >>> curve = TrainingCurve()
    >>> curve.on_event({"event": "step", "step": 20, "d_loss": 1.5})
    >>> curve.on_event({"event": "score", "step": 20, "value": 0.25, "best": True})
    >>> curve.to_dict()
    {'losses': {'d_loss': [[20, 1.5]]}, 'scores': [[20, 0.25]], 'events': []}
    """

    def __init__(self) -> None:
        self._losses: dict[str, Points] = defaultdict(list)
        self._scores: Points = []
        self._events: list[dict[str, Any]] = []

    def on_event(self, event: Mapping[str, Any]) -> None:
        """One event, in the order of training."""
        kind, step = event["event"], event["step"]
        if kind == "step":
            for name in (name for name in _LOSSES if name in event):
                self._losses[name].append([step, event[name]])
        elif kind == "score" and math.isfinite(event["value"]):
            self._scores.append([step, event["value"]])
        elif kind in ("rollback", "stop"):
            told = {"event": kind, "step": step, "reason": event["reason"]}
            self._events.append(told | {"failed_at": event.get("failed_at", step)})
            for points in (*self._losses.values(), self._scores):
                points[:] = [point for point in points if point[0] <= step]

    def to_dict(self) -> dict[str, Any]:
        """losses: {name: [[step, value], ...]}, at most 100 a name and the last; scores the same,
        all of them; events: [{event, step gone back to, failed_at, reason}]."""
        return {
            "losses": {name: _thinned(points) for name, points in self._losses.items()},
            "scores": self._scores,
            "events": self._events,
        }


def _thinned(points: Points) -> Points:
    """Every n-th point and the last."""
    every = math.ceil(len(points) / MOST_POINTS)
    return points if every <= 1 else [*points[:-1:every], points[-1]]
