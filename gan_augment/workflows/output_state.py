"""What an output is made from, kept beside it: a resumed call goes on only with the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from gan_augment.errors import ResumeMismatchError


class OutputState(BaseModel):
    """What an output is made from; `--resume` goes on only with the same."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["gan-augment output"] = "gan-augment output"
    version: Literal[1] = 1
    command: str
    made_from: dict[str, Any]
    notes: dict[str, str] = {}


def read_state(path: Path) -> OutputState | None:
    """What lies at `path`, None where nothing does. Raises ResumeMismatchError for other files."""
    try:
        return OutputState.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise ResumeMismatchError(
            f"{str(path)!r} cannot be read ({type(error).__name__}); use another folder."
        ) from None


def changed_since(before: OutputState, made_from: dict[str, Any]) -> list[str]:
    """The names of what is not as it was; `made_from` as JSON reads it back."""
    if before.made_from == made_from:
        return []
    return [name for name in made_from if before.made_from.get(name) != made_from[name]]
