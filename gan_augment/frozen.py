"""`Frozen`: the base of every settings model. Immutable, and a misspelt name is an error."""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from gan_augment.errors import UsageError, did_you_mean


class Frozen(BaseModel):
    """Base of every settings model: immutable, and a misspelt name is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def checked(cls, values: dict[str, Any], where: str) -> Self:
        """Build from plain values; raises UsageError naming the setting, the value and the cure."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise UsageError(_first_problem(error, cls, where)) from None


def _first_problem(error: ValidationError, model: type[BaseModel], where: str) -> str:
    problem = error.errors()[0]
    name = ".".join(str(part) for part in problem["loc"]) or model.__name__
    if problem["type"] == "extra_forbidden":
        owner: Any = model
        for part in problem["loc"][:-1]:
            owner = owner.model_fields[str(part)].annotation
        known = list(owner.model_fields)
        guess = did_you_mean(str(problem["loc"][-1]), known)
        return f"{where}: there is no setting {name!r}; known here: {', '.join(known)}.{guess}"
    message = problem["msg"].removeprefix("Value error, ")
    given = "" if isinstance(problem["input"], dict) else f" = {problem['input']!r}"
    return f"{where}: {name}{given} is refused: {message}."
