"""Generated images written block by block, here or in workers: the same bytes either way."""

from __future__ import annotations

import contextlib
import json
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gan_augment import errors
from gan_augment.data.images.png_folder import is_whole_png, write_png
from gan_augment.errors import GanAugmentError, TooFewAcceptedError
from gan_augment.processes import available_cores, worker_command, worker_environment
from gan_augment.storage import load_meta, write_errors
from gan_augment.synthesizers.model_file import NAME, ModelMeta

BLOCK_ROWS = 64
IMAGES_A_WORKER = 5000  # a worker needs seconds to load torch and the model
_WORKER = "gan_augment.workflows.block_worker"


class BlockSource(Protocol):
    """What makes the images: a loaded `ImageGAN`."""

    def sample_block(self, name: str, number: int, random_state: int = 0) -> NDArray[np.uint8]:
        """What is kept of one block of a class's candidates, uint8 (n, H, W, C)."""


class Drawer(Protocol):
    """Draws blocks, here or in another process; between the two calls it holds one block."""

    def draw(self, label: str, number: int) -> int:
        """How many images a block of candidates holds. Raises TooFewAcceptedError."""

    def write(self, paths: Sequence[str | None]) -> None:
        """Write the first images of the block just drawn; None is one that is there already."""


@dataclass(frozen=True)
class Written:
    """What was done. images: by class. kept: of these, found from before. refused: {class: why}."""

    images: dict[str, int]
    kept: int
    refused: dict[str, str]


def write_blocks(
    model: Path,
    out: Path,
    wanted: Mapping[str, Sequence[str]],
    *,
    seed: int,
    workers: int | None = None,
    keep: bool = False,
    advance: Callable[[int], None] = lambda done: None,
) -> Written:
    """Write the images of every class, `wanted` = {class: paths below `out`, in order}.

    Image i of a class is its i-th candidate that selection keeps: the same bytes whatever the
    number of workers.
    workers: processes of one thread each; 1 is this process; None is one for every 5,000 images, at
    most one a core. keep: leave files that are whole as they are. `advance` is told the number of
    images done. A class that the model refuses is reported and leaves no file, the others go on.
    """
    facts = load_meta(model, NAME, schema=ModelMeta)
    lines = [_Line(label, paths) for label, paths in wanted.items() if paths]
    if keep:
        for line in lines:
            line.missing = {i for i, p in enumerate(line.paths) if not is_whole_png(out / p)}
            line.skip_whole(every=facts.selection is None)
    kept = sum(len(line.paths) - len(line.missing) for line in lines)
    turns = Turns(lines, kept, advance)
    n = _worker_count(sum(len(line.missing) for line in lines), workers)
    if n == 1 and not turns.done:
        turns.serve(_here(model, out, seed))
    elif not turns.done:
        _serve_in_workers(model, out, seed, n, turns)
    refused = {line.label: line.refused for line in lines if line.refused}
    for line in lines:
        if line.refused:
            _remove(out, line.paths)
    images = {line.label: len(line.paths) for line in lines if not line.refused}
    return Written(images, kept, dict(sorted(refused.items())))


class BlockHolder:
    """A `Drawer` of this process: a loaded model, and the block that was drawn last."""

    def __init__(self, source: BlockSource, out: Path, seed: int) -> None:
        self._source, self._out, self._seed = source, out, seed
        self._block: NDArray[np.uint8] = np.empty((0, 1, 1, 1), dtype=np.uint8)

    def draw(self, label: str, number: int) -> int:
        """How many images the block holds."""
        self._block = self._source.sample_block(label, number, self._seed)
        return len(self._block)

    def write(self, paths: Sequence[str | None]) -> None:
        """Its first images, each whole or not at all."""
        for path, image in zip(paths, self._block, strict=False):
            if path is not None:
                write_png(self._out / path, image, synthetic=True)


@dataclass
class _Line:
    """One class on its way: its blocks are given out, and once drawn they are placed in order."""

    label: str
    paths: Sequence[str]
    missing: set[int] = field(default_factory=set)
    given_out: int = 0
    placed: int = 0
    images: int = 0
    refused: str | None = None

    def __post_init__(self) -> None:
        self.missing = set(range(len(self.paths)))

    def skip_whole(self, *, every: bool) -> None:
        """Pass over what is there: all of it, or whole blocks where `every` candidate is kept."""
        if not self.missing:
            self.images = len(self.paths)
        elif every:
            self.placed = self.given_out = min(self.missing) // BLOCK_ROWS
            self.images = self.placed * BLOCK_ROWS

    @property
    def done(self) -> bool:
        return self.refused is not None or self.images >= len(self.paths)

    @property
    def wants(self) -> bool:
        """Whether the blocks that are being drawn may be too few."""
        drawing = self.given_out - self.placed
        return not self.done and self.images + BLOCK_ROWS * drawing < len(self.paths)


class Turns:
    """Gives blocks out to those who draw them, and places what they drew, class by class in order.

    How many images a block holds is known only once it is drawn, so a block waits for those before
    it. Safe between threads.
    """

    def __init__(self, lines: Sequence[_Line], done: int, advance: Callable[[int], None]) -> None:
        self._lines, self._done, self._advance = lines, done, advance
        self._changed = threading.Condition()
        self._stopped = False
        advance(done)

    @property
    def done(self) -> bool:
        """Whether nothing is left to draw."""
        return all(line.done for line in self._lines)

    def serve(self, drawer: Drawer) -> None:
        """Draw, place and write until nothing is left."""
        try:
            while (turn := self._take()) is not None:
                line, number = turn
                try:
                    paths = self._place(line, number, drawer.draw(line.label, number))
                except TooFewAcceptedError as error:
                    self._refuse(line, str(error))
                else:
                    drawer.write(paths)
                    self._count(sum(path is not None for path in paths))
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Have everyone who serves leave."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _take(self) -> tuple[_Line, int] | None:
        with self._changed:
            while not (self._stopped or self.done):
                line = next((line for line in self._lines if line.wants), None)
                if line is not None:
                    line.given_out += 1
                    return line, line.given_out - 1
                self._changed.wait()
            return None

    def _place(self, line: _Line, number: int, kept: int) -> list[str | None]:
        """The paths of a block's images; nothing where they are not needed any more."""
        from gan_augment.synthesizers.selection import check_going_on

        with self._changed:
            while line.placed < number and not (self._stopped or line.done):
                self._changed.wait()
            if self._stopped or line.done:
                return []
            start = line.images
            line.images, line.placed = start + kept, number + 1
            self._changed.notify_all()
            check_going_on(line.label, line.images, line.placed)
            places = range(start, min(line.images, len(line.paths)))
            return [line.paths[i] if i in line.missing else None for i in places]

    def _refuse(self, line: _Line, why: str) -> None:
        with self._changed:
            line.refused = line.refused or why
            self._changed.notify_all()
        self._count(max(0, len(line.paths) - line.images))

    def _count(self, images: int) -> None:
        with self._changed:
            self._done += images
            self._advance(self._done)


def _remove(out: Path, paths: Sequence[str]) -> None:
    with write_errors(out):
        for path in paths:
            (out / path).unlink(missing_ok=True)


def _worker_count(images: int, asked: int | None) -> int:
    if asked is None:
        asked = min(available_cores(), -(-images // IMAGES_A_WORKER))
    return min(max(asked, 1), max(1, -(-images // BLOCK_ROWS)))


def _here(model: Path, out: Path, seed: int) -> BlockHolder:
    from gan_augment.synthesizers.image_gan import ImageGAN

    return BlockHolder(ImageGAN.load(model, threads=1), out, seed)


def _serve_in_workers(model: Path, out: Path, seed: int, workers: int, turns: Turns) -> None:
    def serve() -> None:
        try:
            with _worker(model, out, seed) as drawer:
                turns.serve(drawer)
        except BaseException:
            turns.stop()
            raise

    with ThreadPoolExecutor(workers, thread_name_prefix="blocks") as pool:
        try:
            for future in [pool.submit(serve) for _ in range(workers)]:
                future.result()
        finally:
            turns.stop()


class _Remote:
    """A `Drawer` in another process. ask: sends a request, gives the answer, raises its error."""

    def __init__(self, ask: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        self._ask = ask

    def draw(self, label: str, number: int) -> int:
        """How many images the block holds."""
        return int(self._ask({"draw": [label, number]})["kept"])

    def write(self, paths: Sequence[str | None]) -> None:
        """Its first images."""
        self._ask({"write": list(paths)})


@contextlib.contextmanager
def _worker(model: Path, out: Path, seed: int) -> Iterator[Drawer]:
    """A process that draws and writes blocks."""
    with tempfile.TemporaryFile() as errors_file:
        process = subprocess.Popen(
            worker_command(_WORKER),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors_file,
            env=worker_environment(),
        )
        assert process.stdin is not None
        assert process.stdout is not None
        requests, answers = process.stdin, process.stdout

        def ask(request: dict[str, Any]) -> dict[str, Any]:
            with contextlib.suppress(BrokenPipeError):
                requests.write(json.dumps(request).encode() + b"\n")
                requests.flush()
            return _answer(answers.readline(), errors_file)

        try:
            ask({"model": str(model.resolve()), "out": str(out.resolve()), "seed": seed})
            yield _Remote(ask)
        finally:
            process.kill()
            process.wait()
            with contextlib.suppress(BrokenPipeError):
                requests.close()
            answers.close()


def _answer(line: bytes, errors_file: IO[bytes]) -> dict[str, Any]:
    """What a worker says; raises the error that it met."""
    if not line:
        errors_file.seek(0)
        said = errors_file.read().decode(errors="replace").strip().splitlines()
        raise GanAugmentError(f"a worker ended early: {said[-1] if said else 'killed'}")
    answer: dict[str, Any] = json.loads(line)
    if "error" in answer:
        kind = getattr(errors, answer["error"], GanAugmentError)
        raise kind(answer["message"])
    return answer
