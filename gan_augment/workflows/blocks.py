"""Generated images written block by block, here or in workers: the same bytes either way."""

from __future__ import annotations

import contextlib
import json
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gan_augment import errors
from gan_augment.data.image_files.export import is_whole_png, write_png
from gan_augment.errors import GanAugmentError, TooFewAcceptedError
from gan_augment.processes import available_cores, worker_command, worker_environment
from gan_augment.storage import write_errors

BLOCK_ROWS = 64
IMAGES_A_WORKER = 5000  # a worker needs seconds to load torch and the model
_WORKER = "gan_augment.workflows.block_worker"


@dataclass(frozen=True)
class Block:
    """Images [start, stop) of a class, to be written to `paths` below the output folder."""

    label: str
    start: int
    stop: int
    paths: tuple[str, ...]


class BlockSource(Protocol):
    """What makes the images: a loaded `ImageGAN`."""

    def sample_range(
        self, name: str, start: int, stop: int, random_state: int = 0
    ) -> NDArray[np.uint8]:
        """Images [start, stop) of the endless sequence of a class, uint8 (n, H, W, C)."""


@dataclass(frozen=True)
class Written:
    """What was done. images: by class. kept: of these, found from before. refused: {class: why}."""

    images: dict[str, int]
    kept: int
    refused: dict[str, str]


def blocks_of(label: str, paths: Sequence[str]) -> list[Block]:
    """Aligned blocks for the images 0, 1, ... of a class, written to the given paths."""
    return [
        Block(label, start, min(start + BLOCK_ROWS, len(paths)), tuple(paths[start:][:BLOCK_ROWS]))
        for start in range(0, len(paths), BLOCK_ROWS)
    ]


def write_blocks(
    model: Path,
    out: Path,
    blocks: Sequence[Block],
    *,
    seed: int,
    workers: int | None = None,
    keep: bool = False,
    advance: Callable[[int], None] = lambda done: None,
) -> Written:
    """Write the images of all blocks; the same bytes whatever the number of workers.

    workers: processes of one thread each; 1 is this process; None is one for every 5,000 images, at
    most one a core. keep: leave blocks whose files are whole as they are. `advance` is told the
    number of images done. A class that the model refuses is reported and leaves
    no file, the others go on.
    """
    todo = [b for b in blocks if not (keep and all(is_whole_png(out / p) for p in b.paths))]
    kept = sum(len(b.paths) for b in blocks) - sum(len(b.paths) for b in todo)
    advance(kept)
    tally = _Tally(kept, advance)
    n = _worker_count(sum(len(b.paths) for b in todo), len(todo), workers)
    if n == 1:
        _write_here(model, out, todo, seed, tally)
    elif n > 1:
        _write_in_workers(model, out, todo, seed, n, tally)
    images: dict[str, int] = {}
    for block in blocks:
        if block.label not in tally.refused:
            images[block.label] = images.get(block.label, 0) + len(block.paths)
        else:
            _remove(out, block)
    return Written(images, kept, dict(sorted(tally.refused.items())))


def write_block(source: BlockSource, out: Path, block: Block, seed: int) -> None:
    """Generate one block and write its files, each whole or not at all."""
    pixels = source.sample_range(block.label, block.start, block.stop, random_state=seed)
    for path, image in zip(block.paths, pixels, strict=True):
        write_png(out / path, image, synthetic=True)


def _remove(out: Path, block: Block) -> None:
    with write_errors(out):
        for path in block.paths:
            (out / path).unlink(missing_ok=True)


class _Tally:
    """Counts images over threads, and collects refusals."""

    def __init__(self, done: int, advance: Callable[[int], None]) -> None:
        self.refused: dict[str, str] = {}
        self._done = done
        self._advance = advance
        self._lock = threading.Lock()

    def add(self, block: Block, refusal: str | None = None) -> None:
        with self._lock:
            if refusal is not None:
                self.refused[block.label] = refusal
            self._done += len(block.paths)
            self._advance(self._done)


def _worker_count(images: int, blocks: int, asked: int | None) -> int:
    if asked is None:
        asked = min(available_cores(), -(-images // IMAGES_A_WORKER))
    return min(max(asked, 1), blocks)


def _write_here(model: Path, out: Path, todo: Sequence[Block], seed: int, tally: _Tally) -> None:
    from gan_augment.synthesizers.image_gan import ImageGAN

    source = ImageGAN.load(model, threads=1)
    for block in todo:
        refusal = tally.refused.get(block.label)
        if refusal is None:
            try:
                write_block(source, out, block, seed)
            except TooFewAcceptedError as error:
                refusal = str(error)
        tally.add(block, refusal)


def _write_in_workers(
    model: Path, out: Path, todo: Sequence[Block], seed: int, workers: int, tally: _Tally
) -> None:
    turns = iter(todo)
    lock, stop = threading.Lock(), threading.Event()

    def serve() -> None:
        try:
            with _worker(model, out, seed) as ask:
                while not stop.is_set():
                    with lock:
                        block = next((b for b in turns if b.label not in tally.refused), None)
                    if block is None:
                        return
                    tally.add(block, ask(block))
        except BaseException:
            stop.set()
            raise

    with ThreadPoolExecutor(workers, thread_name_prefix="blocks") as pool:
        try:
            for future in [pool.submit(serve) for _ in range(workers)]:
                future.result()
        finally:
            stop.set()


@contextlib.contextmanager
def _worker(model: Path, out: Path, seed: int) -> Iterator[Callable[[Block], str | None]]:
    """A process that writes blocks; yields what has it write one: None, or a refusal."""
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

        def ask(request: dict[str, Any]) -> str | None:
            with contextlib.suppress(BrokenPipeError):
                requests.write(json.dumps(request).encode() + b"\n")
                requests.flush()
            return _outcome(answers.readline(), errors_file)

        try:
            ask({"model": str(model.resolve()), "out": str(out.resolve()), "seed": seed})
            yield lambda block: ask(asdict(block))
        finally:
            process.kill()
            process.wait()
            with contextlib.suppress(BrokenPipeError):
                requests.close()
            answers.close()


def _outcome(line: bytes, errors_file: IO[bytes]) -> str | None:
    """None for a block that is written, the reason for one that is refused; raises the rest."""
    if not line:
        errors_file.seek(0)
        said = errors_file.read().decode(errors="replace").strip().splitlines()
        raise GanAugmentError(f"a worker ended early: {said[-1] if said else 'killed'}")
    answer = json.loads(line)
    if "error" in answer:
        kind = getattr(errors, answer["error"], GanAugmentError)
        raise kind(answer["message"])
    refusal: str | None = answer["refused"]
    return refusal
