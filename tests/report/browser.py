"""A headless Chromium, spoken to over a pipe: DevTools messages are JSON, each ended by a NUL."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-extensions"),
    *("--disable-dev-shm-usage", "--remote-debugging-pipe"),
)
PATIENCE_S = 60.0

Message = dict[str, Any]


def started(command: list[str]) -> tuple[int, int, int]:
    """Start a browser: (its process, what to write commands to, what to read answers from).

    It reads descriptor 3 and writes 4, so ours are moved above those first.
    """
    its_input, ours_to_write = os.pipe()
    ours_to_read, its_output = os.pipe()
    high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10) for fd in (its_input, its_output)]
    nothing = os.open(os.devnull, os.O_RDWR)
    moved = [(high[0], 3), (high[1], 4), (nothing, 1), (nothing, 2)]
    process = os.posix_spawn(
        command[0],
        command,
        dict(os.environ),
        file_actions=[(os.POSIX_SPAWN_DUP2, fd, to) for fd, to in moved],
    )
    for fd in (its_input, its_output, *high, nothing):
        os.close(fd)
    return process, ours_to_write, ours_to_read


class Browser:
    """One process with one tab. `events` holds what the tab told since the last `open`."""

    def __init__(self, home: Path) -> None:
        assert CHROMIUM is not None
        self._process, self._write, self._read = started(
            [CHROMIUM, *FLAGS, f"--user-data-dir={home}"]
        )
        self.events: list[Message] = []
        self._held = b""
        self._number = 0
        self._session: str | None = None
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        attached = self.ask("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **params: Any) -> Message:
        """Send a command and wait for its result; what the tab tells meanwhile is kept."""
        self._number += 1
        message: Message = {"id": self._number, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        number = self._number
        answer = self._until(lambda found: found.get("id") == number)
        assert "error" not in answer, f"{method}: {answer['error']}"
        result: Message = answer["result"]
        return result

    def open(self, page: Path, *, width: int = 1280, dark: bool = False, media: str = "") -> None:
        """Show a file, scripts switched off, and wait until it is loaded."""
        self.ask("Emulation.setScriptExecutionDisabled", value=True)
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", media=media, features=[scheme])
        self.events.clear()
        self.ask("Page.navigate", url=page.as_uri())
        if not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self._until(lambda found: found.get("method") == "Page.loadEventFired")

    def value(self, expression: str) -> Any:
        """What an expression of ours is; the page's own scripts stay switched off."""
        found = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def told(self, method: str) -> list[Message]:
        """The parameters of all events of a kind."""
        return [event["params"] for event in self.events if event["method"] == method]

    def close(self) -> None:
        """End the process."""
        os.kill(self._process, signal.SIGKILL)
        os.waitpid(self._process, 0)
        os.close(self._write)
        os.close(self._read)

    def _until(self, wanted: Callable[[Message], bool]) -> Message:
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            head, nul, rest = self._held.partition(b"\0")
            if not nul:
                more = os.read(self._read, 1 << 20)
                assert more, "the browser ended"
                self._held += more
                continue
            self._held = rest
            message: Message = json.loads(head)
            if "method" in message:
                self.events.append(message)
            if wanted(message):
                return message
        raise TimeoutError("the browser did not answer in time")
