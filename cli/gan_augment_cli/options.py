"""Options of the commands: those that several share, and those generated from settings models.

A command is a plain function. A parameter `Annotated[Model, Settings(...)]` becomes one option per
field of the model, with the field's type, default and description.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import reduce
from importlib import import_module
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import typer

from gan_augment.errors import UsageError

COMMON = {
    "augment": "target classes to synthetic_share recipe budget model match dry_run overwrite",
    "fit": "target classes image_size recipe budget steps seed out resume overwrite",
    "sample": "counts classes mark seed dry_run overwrite",
    "translate": "source to counts recipe budget model image_size seed dry_run overwrite",
    "evaluate": "target classes group test learner backbone metric budget out resume",
    "choose": "target classes recipes budget image_size seed out dry_run overwrite",
}
"""{command: the options that `--help` shows}; `--help-all` and other commands show every one."""
PANELS = {
    "Data": "target columns classes image_size window flips skip_bad group time "
    "group_duplicates source test",
    "Training": "recipe recipes steps budget gan_budget selection seed device precision model run "
    "backbone",
    "Top-up": "counts to synthetic_share companions match mark",
    "Evaluation": "learner metric delta folds repeats arms sampler updates diagnostics fail_on "
    "force",
    "Running": "threads workers n_jobs resume dry_run help help_all",
    "Output": "",
}
"""The panels of `--help-all`: {title: options}. All others stand in the last panel."""
_VALUES = {
    "COLUMN": "target group time",
    "COUNTS": "counts",
    "FOLDER": "model run",
    "HEIGHTxWIDTH": "image_size",
    "KINDS": "columns",
    "N": "steps seed window threads workers n_jobs folds repeats updates",
    "NAME": "recipe learner metric device",
    "NAMES": "classes arms recipes from sampler",
    "PATH": "out test backbone",
    "SHARE": "synthetic_share delta",
    "SIZE": "to",
    "TIME": "budget gan_budget seconds",
}
"""{what the help calls a value: the options that take one}."""


def option(flags: str, text: str, **more: Any) -> Any:
    """Return an option that the environment may set too, `--skip-bad` as GAN_AUGMENT_SKIP_BAD."""
    name = flags.split("/")[0].removeprefix("--").replace("-", "_")
    metavar = next((value for value, names in _VALUES.items() if name in names.split()), None)
    more = {"metavar": metavar, "envvar": f"GAN_AUGMENT_{name.upper()}", **more}
    return typer.Option(flags, help=text, show_envvar=False, **more)


def argument(name: str, text: str) -> Any:
    """Return a positional argument."""
    return typer.Argument(metavar=name, show_default=False, help=text)


_FOLDERS = "A folder with one folder of {} per class, an .npz file, or a .csv of path,label[,group]"
Data = Annotated[
    Path,
    argument(
        "DATA",
        f"{_FOLDERS.format('images or signals (.npy, .wav)')}. With --target: a table, .csv or "
        ".parquet.",
    ),
]
Images = Annotated[Path, argument("DATA", f"{_FOLDERS.format('images')}.")]
OutFolder = Annotated[Path, argument("OUT", "The folder to write; for a table, the file to write.")]
Counts = Annotated[
    str | None, option("--counts", "How many to draw of each class: 100, or owl=30,wren=20.")
]
Mark = Annotated[
    bool,
    option("--mark", "Add the column origin to a written table: real, repeat or synthetic."),
]
Model = Annotated[Path | None, option("--model", "A trained run to draw from; nothing is trained.")]
Run = Annotated[
    Path | None,
    option("--run", "Where to keep the trained run.  [default: runs/<name of DATA>]"),
]
Resume = Annotated[bool, option("--resume", "Continue what was interrupted.")]
Overwrite = Annotated[bool, option("--overwrite", "Replace an earlier output.")]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run", help="Show the plan, and the value and source of each option. Write nothing."
    ),
]
Backbone = Annotated[
    str | None,
    option(
        "--backbone",
        "A pretrained network for photos: weights of EfficientNet-Lite0 (.pth), or module:name.",
    ),
]

FIT = "gan_augment.options:FitOptions"
FIT_FIELDS = (
    "target columns classes recipe steps budget image_size window flips selection seed "
    "device precision threads skip_bad"
)
DEFAULT_BUDGET_S = 300.0
"""Time of a fit of images without --steps and --budget, as 5m in the help."""


@dataclass(frozen=True)
class Settings:
    """Marks a parameter as a settings model whose fields become options of the command.

    - model: "module:class"; it is imported when the command is built, so that `--help` stays fast.
    - fields: The fields, separated by spaces, as `name` or `option=field`; a field of a nested
      model is `fit.steps`.
    """

    model: str
    fields: str

    def parameters(self) -> Iterator[inspect.Parameter]:
        """Yield the options as parameters of a function."""
        for name, (*owners, last) in _fields(self.fields):
            owner = reduce(lambda m, part: m.model_fields[part].annotation, owners, self._load())
            field = owner.model_fields[last]
            kind = _cli_type(field.annotation)
            fits = get_origin(kind) is Literal or isinstance(field.default, kind)
            default = field.default if fits else None
            flag = f"--{name.replace('_', '-')}"
            if kind is bool and default is not False:
                flag = f"{flag}/--no-{flag.removeprefix('--')}"
            shown = kind if default is not None else kind | None
            info = option(flag, field.description or "")
            annotated = Annotated.__class_getitem__((shown, info))  # type: ignore[attr-defined]
            yield _parameter(name, annotated, default)

    def build(self, params: dict[str, Any]) -> Any:
        """Build the model from the values of the options. Raises UsageError naming the option."""
        from gan_augment.settings import COMMAND_LINE

        values: dict[str, Any] = {}
        names: dict[str, str] = {}
        for name, (*owners, last) in _fields(self.fields):
            names[".".join([*owners, last])] = name
            if params[name] is not None:
                owner = reduce(lambda inner, part: inner.setdefault(part, {}), owners, values)
                owner[last] = params[name]
        return self._load().checked(values, COMMAND_LINE, names)

    def _load(self) -> Any:
        module, name = self.model.split(":")
        return getattr(import_module(module), name)


def _fields(names: str) -> Iterator[tuple[str, list[str]]]:
    """Yield (option, path of the field in the model)."""
    for item in names.split():
        name, _, path = item.partition("=")
        path = path or name
        yield name.split(".")[-1], path.split(".")


def _cli_type(annotation: Any) -> Any:
    """Return the type of an option for a field: a bool, a number, a choice, or else text."""
    origin, members = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        reads_text = any(type(mark).__name__ == "BeforeValidator" for mark in members[1:])
        return str if reads_text else _cli_type(members[0])
    if origin is Literal or annotation in (bool, int, float, Path):
        return annotation
    kinds = [_cli_type(one) for one in members if one is not NoneType]
    if origin not in (Union, UnionType):
        return str
    return bool if bool in kinds else kinds[0] if len(kinds) == 1 else str


def _parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default
    )


def _show_all(ctx: typer.Context, asked: bool) -> None:
    if asked:
        ctx.meta["help_all"] = True
        typer.echo(ctx.get_help())
        raise typer.Exit


_EVERYWHERE = {
    "help_all": Annotated[
        bool,
        typer.Option(
            "--help-all", is_eager=True, callback=_show_all, help="Show every option and exit."
        ),
    ],
    "as_json": Annotated[bool, option("--json", "Print one JSON object.")],
    "quiet": Annotated[bool, option("--quiet", "Print only the path of the output.")],
}
"""Options of every command; --help-all where `--help` shows only the common ones."""


def expand(function: Callable[..., None], guard: Callable[[typer.Context], Any]) -> Any:
    """Return the function that typer makes a command of: settings models as single options.

    guard: a context manager around the call, which turns errors into exit codes.
    """
    hints = get_type_hints(function, include_extras=True)
    own = list(inspect.signature(function).parameters.values())
    models: dict[str, Settings] = {}
    parameters: list[inspect.Parameter] = []
    for parameter in own:
        kind, name = hints[parameter.name], parameter.name
        marks = [m for m in getattr(kind, "__metadata__", ()) if isinstance(m, Settings)]
        if marks:
            models[name] = marks[0]
            parameters += marks[0].parameters()
        else:
            parameters.append(_parameter(name, kind, parameter.default))
    for name, kind in _EVERYWHERE.items():
        if name != "help_all" or function.__name__ in COMMON:
            parameters.append(_parameter(name, kind, False))

    def run(**values: Any) -> None:
        with guard(values["ctx"]):
            built = {name: one.build(values) for name, one in models.items()}
            function(**built, **{p.name: values[p.name] for p in own if p.name not in models})

    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__name__, run.__doc__ = function.__name__, function.__doc__
    return run


def choices(ctx: typer.Context) -> dict[str, dict[str, Any]]:
    """Return every argument and option of the command, as {name: {"value", "source"}}."""
    found = {}
    for param in ctx.command.params:
        name = str(param.name)
        if name in ctx.params and name not in ("dry_run", "help_all"):
            source = ctx.get_parameter_source(name)
            words = {
                "COMMANDLINE": "given",
                "ENVIRONMENT": f"environment {getattr(param, 'envvar', '')}",
            }
            origin = words.get(source.name if source else "", "default")
            long = param.opts[-1].removeprefix("--").replace("-", "_")
            found[long] = {"value": ctx.params[name], "source": origin}
    return found


def timed(options: Any) -> Any:
    """Return fit options whose budget is DEFAULT_BUDGET_S for images without steps and budget."""
    budget = options.budget
    if options.steps is not None:
        budget = None
    elif budget is None and options.target is None:
        budget = DEFAULT_BUDGET_S
    return options.model_copy(update={"budget": budget})


def row_counts(text: str | None) -> int | dict[str, int] | None:
    """Return a count for every class, or one per class from `name=count,name=count`.

    >>> row_counts("100"), row_counts("owl=30,wren=20")
    (100, {'owl': 30, 'wren': 20})
    """
    if text is None:
        return None
    pairs = [part.rpartition("=") for part in text.split(",")]
    with suppress(ValueError):  # thousands of digits
        if text.isdecimal():
            return int(text)
        if all(name and count.isdecimal() for name, _, count in pairs):
            return {name: int(count) for name, _, count in pairs}
    raise UsageError(
        f"--counts: {text[:40]!r} is not a count; expected a number, or name=number,name=number"
    )


def names(text: str) -> list[str]:
    """Return the names between commas.

    >>> names("zip, sex")
    ['zip', 'sex']
    """
    return [name.strip() for name in text.split(",") if name.strip()]
