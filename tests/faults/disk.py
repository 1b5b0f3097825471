"""A disk on which things go wrong, and commands that run on it, each in a child of this process.

A child is forked from a parent that has loaded everything and computed nothing, so that a command
takes as long as its work. Its operations on files below its folder are counted; at one of them it
is killed, in the middle of a write too, or every one from there on fails, or all are delayed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import random
import signal
import stat
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Kind = Literal["none", "kill", "torn", "full", "read-only", "delay"]
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_MODIFYING = ("os.rename", "os.link", "os.remove", "os.rmdir", "os.mkdir", "os.truncate")
_NEEDS_ROOM = ("open", "os.write", "os.fsync", "os.link", "os.mkdir")
TRACEBACK = 99  # the code of a child that ends with an exception
LONGEST_S = 90.0


@dataclass(frozen=True)
class Fault:
    """What goes wrong, and at which operation; the first is 1."""

    kind: Kind = "none"
    at: int = 0
    seed: int = 0


@dataclass(frozen=True)
class Ended:
    """How a command ended. code: its exit code, -9 where it was killed; operations: on files."""

    code: int
    out: str
    err: str
    operations: int
    begun_s: float
    ended_s: float


class Disk:
    """Counts the operations of this process below a folder, and lets them go wrong. For a child."""

    def __init__(self, home: Path, fault: Fault) -> None:
        self.home, self.fault, self.count = str(home), fault, 0
        self._random = random.Random(fault.seed)
        self._real = {name: getattr(os, name) for name in ("write", "fsync")}

    def install(self) -> None:
        """From now on; there is no way back."""
        os.write, os.fsync = self._write, self._fsync  # type: ignore[assignment]
        sys.addaudithook(self._hook)

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        if event == "open":
            if isinstance(args[0], int) or not (args[2] or 0) & _WRITING:
                return
        elif event not in _MODIFYING:
            return
        path = args[1] if event in ("os.rename", "os.link") else args[0]
        if isinstance(path, str | bytes | os.PathLike):
            name = os.path.abspath(os.fsdecode(path))  # noqa: PTH100  (of links themselves)
            if name.startswith(self.home + os.sep):
                self._operation(event)

    def _operation(self, event: str, descriptor: int = -1, content: Any = b"") -> None:
        self.count += 1
        fault, now = self.fault, self.count
        if fault.kind == "delay":
            time.sleep(self._random.uniform(0, 0.006) + 0.4 * (now == fault.at))
        elif now < fault.at or not fault.at:
            return
        elif fault.kind in ("kill", "torn"):
            if fault.kind == "torn" and event == "os.write":
                self._real["write"](
                    descriptor, content[: self._random.randrange(max(1, len(content)))]
                )
            elif fault.kind == "torn" and event == "os.fsync":
                size = os.fstat(descriptor).st_size
                with contextlib.suppress(OSError):  # of a file that is open for reading alone
                    os.ftruncate(descriptor, max(0, size - self._random.randrange(1, 40)))
            os.kill(os.getpid(), signal.SIGKILL)
        elif fault.kind == "read-only":
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        elif fault.kind == "full" and event in _NEEDS_ROOM:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _write(self, descriptor: int, content: Any) -> int:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            self._operation("os.write", descriptor, content)
        return int(self._real["write"](descriptor, content))

    def _fsync(self, descriptor: int) -> None:
        self._operation("os.fsync", descriptor)
        self._real["fsync"](descriptor)


class Child:
    """`gan-augment ARGS...` in a fork of this process, in the folder `home`.

    gate: a pipe; the command begins once its other end is closed.
    """

    def __init__(
        self, args: Sequence[str], home: Path, fault: Fault, gate: tuple[int, int] | None = None
    ) -> None:
        self._report, report = os.pipe()
        self._streams = [home.parent / f"{home.name}.{os.getpid()}.{report}.{n}" for n in (1, 2)]
        sys.stdout.flush()
        sys.stderr.flush()
        self.begun_s = time.monotonic()
        self.pid = os.fork()
        if self.pid:
            os.close(report)
            return
        try:
            os.setsid()
            for number, path in enumerate(self._streams, 1):
                os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.chdir(home)
            if gate:
                os.close(gate[1])
                os.read(gate[0], 1)
            disk = Disk(home, fault)
            disk.install()
            code = _run(args)
            disk._real["write"](report, str(disk.count).encode())
        except BaseException:
            traceback.print_exc()
            code = TRACEBACK
        os._exit(code)

    def wait(self, limit_s: float = LONGEST_S) -> Ended:
        """How it ended; one that takes longer than allowed is asked to stop, then killed."""
        ended = self._waited(limit_s)
        if ended is None:
            os.kill(self.pid, signal.SIGTERM)
            ended = self._waited(20)
        if ended is None:
            os.killpg(self.pid, signal.SIGKILL)
            ended = self._waited(20)
        assert ended is not None
        with os.fdopen(self._report) as file:
            count = file.read()
        texts = [
            path.read_text(errors="replace") if path.exists() else "" for path in self._streams
        ]
        for path in self._streams:
            path.unlink(missing_ok=True)
        return Ended(ended, *texts, int(count or 0), self.begun_s, time.monotonic())

    def _waited(self, limit_s: float) -> int | None:
        until = time.monotonic() + limit_s
        while time.monotonic() < until:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.002)
        return None


def _run(args: Sequence[str]) -> int:
    """The command line in this process; its exit code."""
    from gan_augment_cli.app import main

    sys.argv = ["gan-augment", *args]
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115  (as the interpreter makes them)
    sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
    try:
        main()
        code: Any = 0
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
        code = TRACEBACK
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    return code if isinstance(code, int) else int(code is not None)


def command(args: Sequence[str], home: Path, fault: Fault | None = None) -> Ended:
    """Run a command to its end on a disk where `fault` happens, by default nothing."""
    return Child(args, home, fault or Fault()).wait()


def warm_up() -> None:
    """Load whatever a command loads, and compute nothing: children are forked from this."""
    import pyarrow.parquet
    import sklearn.ensemble
    import sklearn.linear_model
    import sklearn.neighbors
    import torch

    import gan_augment_cli.app
    from gan_augment import report, sklearn_api, workflows
    from gan_augment.report import html
    from gan_augment.synthesizers import image_gan, tabular_gan
    from gan_augment.workflows import fitting

    assert torch.get_num_threads() == 1, "set OMP_NUM_THREADS=1"
    assert all((pyarrow.parquet, sklearn, gan_augment_cli, report, sklearn_api, workflows))
    assert all((html, image_gan, tabular_gan, fitting))
