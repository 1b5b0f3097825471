"""A disk with faults, and commands that run on it in forked children.

The parent has imported everything and computed nothing, so a command takes as long as its work.
Operations on files below the child's folder are counted. At one of them the child is killed, also
in the middle of a write; or all later operations fail; or all operations are delayed.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import json
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
LONGEST_S = 300.0


@dataclass(frozen=True)
class Fault:
    """A kind of fault and the operation, counted from 1, at which it begins."""

    kind: Kind = "none"
    at: int = 0
    seed: int = 0


@dataclass(frozen=True)
class Ended:
    """The end of a command: its exit code (-9: killed), output, file operations and imports."""

    code: int
    out: str
    err: str
    operations: int
    modules: list[str]


class Disk:
    """Counts the file operations of a child below a folder and injects the fault."""

    def __init__(self, home: Path, fault: Fault) -> None:
        self.home, self.fault, self.count = str(home), fault, 0
        self._random = random.Random(fault.seed)
        self._real = {name: getattr(os, name) for name in ("write", "fsync")}

    def install(self) -> None:
        """Start to count; this cannot be undone."""
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
                with contextlib.suppress(OSError):  # of a file that is open for reading only
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

    gate: a pipe; the command starts when its other end is closed.
    """

    number = 0

    def __init__(
        self, args: Sequence[str], home: Path, fault: Fault, gate: tuple[int, int] | None = None
    ) -> None:
        Child.number += 1
        self._files = [home.parent / f"child-{self.number}.{n}" for n in ("out", "err", "report")]
        known = set(sys.modules)
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid:
            return
        try:
            os.setsid()
            for number, path in enumerate(self._files[:2], 1):
                os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.chdir(home)
            if gate:
                os.close(gate[1])
                os.read(gate[0], 1)
            disk = Disk(home, fault)
            disk.install()
            code = _run(args)
            report = {"operations": disk.count, "modules": sorted(set(sys.modules) - known)}
            disk.fault = Fault()
            self._files[2].write_text(json.dumps(report))
        except BaseException:
            traceback.print_exc()
            code = TRACEBACK
        os._exit(code)

    def wait(self, limit_s: float = LONGEST_S) -> Ended:
        """Wait for the end; after the time limit stop the child, then kill it."""
        ended = self._waited(limit_s)
        if ended is None:
            os.kill(self.pid, signal.SIGTERM)
            ended = self._waited(20)
        if ended is None:
            os.killpg(self.pid, signal.SIGKILL)
            ended = self._waited(20)
        assert ended is not None
        out, err, text = (p.read_text(errors="replace") if p.exists() else "" for p in self._files)
        for path in self._files:
            path.unlink(missing_ok=True)
        report = json.loads(text or "{}")
        return Ended(ended, out, err, report.get("operations", 0), report.get("modules", []))

    def _waited(self, limit_s: float) -> int | None:
        until = time.monotonic() + limit_s
        while time.monotonic() < until:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.002)
        return None


def _run(args: Sequence[str]) -> int:
    """Run the command line in this process; return its exit code."""
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
    """Run a command to its end on a disk with the fault, by default none."""
    return Child(args, home, fault or Fault()).wait()


def warm_up(*loaded: Ended) -> None:
    """Import the modules of earlier commands without computing: children are forked."""
    for name in [
        "torch",
        "gan_augment_cli.app",
        *(name for each in loaded for name in each.modules),
    ]:
        with contextlib.suppress(Exception):  # some can only be imported by others
            importlib.import_module(name)
    import torch

    from gan_augment.generators import scorer

    assert torch.get_num_threads() == 1, "set OMP_NUM_THREADS=1"
    scorer.SCORER_STEPS = 10  # the quality of scores does not matter here
