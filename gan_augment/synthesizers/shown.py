"""Events of training as a line of progress."""

from __future__ import annotations

from collections.abc import Mapping

from gan_augment.progress import Progress


class ShownEvents:
    """A callback: losses, speed and score beside the step; rollbacks as warnings."""

    def __init__(self, progress: Progress, unit: str = "images") -> None:
        self._progress, self._unit = progress, unit
        self._score = ""

    def on_event(self, event: Mapping[str, object]) -> None:
        """One event."""
        if event["event"] == "score":
            best = " (best)" if event["best"] else ""
            self._score = f", score {_short(event['value'])}{best}"
        elif event["event"] == "rollback":
            self._progress.warn(
                f"step {event['failed_at']}: {event['reason']}; back to step {event['step']}"
            )
        elif event["event"] == "step":
            names = ("reconstruction", "d_loss", "g_loss")
            losses = [f"{name} {event[name]:.3f}" for name in names if name in event]
            speed = f"{event['images_per_s']:.0f} {self._unit}/s"
            text = ", ".join([speed, *losses]) + self._score
            self._progress.advance(int(str(event["step"])), text)


def _short(value: object) -> str:
    """A score for people: early ones may be huge."""
    number = float(str(value))
    return f"{number:.3f}" if number < 1000 else "over 1000"
