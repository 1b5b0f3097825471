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

from gan_augment.errors import UsageError, did_you_mean
from gan_augment_cli.console import say_more

COMMANDS = ("augment", "choose", "fit", "sample", "translate", "evaluate", "inspect", "demo")
"""The commands that a table of a config file may be named after."""

PANELS = {
    "Data": "data path run result target columns classes image_size window flips "
    "skip_bad group time group_duplicates source",
    "Training": "recipe recipes steps budget gan_budget selection seed device "
    "precision model seconds table backbone",
    "Top-up": "counts to synthetic_share companions match",
    "Evaluation": "test learner metric delta folds repeats arms updates diagnostics fail_on",
    "Running": "threads workers n_jobs resume config dry_run verbose help help_all",
    "Output": "",
}
"""The panels of `--help`: {title: names of parameters}. All others stand in the last panel."""


def option(flags: str, text: str, **more: Any) -> Any:
    """Return an option that the environment may set too, `--skip-bad` as GAN_AUGMENT_SKIP_BAD."""
    name = flags.split("/")[0].removeprefix("--").replace("-", "_").upper()
    return typer.Option(flags, help=text, envvar=f"GAN_AUGMENT_{name}", show_envvar=False, **more)


def argument(name: str, text: str) -> Any:
    """Return a positional argument."""
    return typer.Argument(metavar=name, show_default=False, help=text)


Data = Annotated[
    Path,
    argument(
        "DATA",
        "A folder with a folder per class (images, or signals as .npy or .wav), a .npz file, a "
        ".csv of path,label[,group]; with --target a table, .csv or .parquet.",
    ),
]
OutFolder = Annotated[Path, argument("OUT", "The folder to write; for a table, the file to write.")]
RunFolder = Annotated[Path, argument("RUN", "The folder of a trained run.")]
Counts = Annotated[str | None, option("--counts", "Rows of each class: 100, or owl=30,wren=20.")]
Mark = Annotated[
    bool, option("--mark", "Add a last column, origin, to a table: real, repeat or synthetic.")
]
Model = Annotated[Path | None, option("--model", "Draw from this run instead of training one.")]
Run = Annotated[
    Path | None, option("--run", "The folder of the trained run.  [default: as in fit]")
]
Resume = Annotated[bool, option("--resume", "Continue an interrupted run.")]
Overwrite = Annotated[bool, option("--overwrite", "Replace an output of an earlier run.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Show what would be done, and where each option is from.")
]
Backbone = Annotated[
    str | None,
    option(
        "--backbone",
        "A pretrained network: weights of EfficientNet-Lite0 (.pth), or module:name.",
    ),
]

FIT = "gan_augment.options:FitOptions"
FIT_SHOWN = (
    "target columns classes recipe steps budget image_size window flips selection seed "
    "device precision threads skip_bad"
)
DEFAULT_BUDGET_S = 300.0
"""Time of a fit of images without --steps and --budget, as 5m in the help."""


@dataclass(frozen=True)
class Settings:
    """Marks a parameter as a settings model whose fields become options of the command.

    Parameters
    ----------
    model
        "module:class"; it is imported when the command is built, so that `--help` stays fast.
    shown, advanced
        The fields, separated by spaces, as `name` or `option=field`; a field of a nested model is
        `fit.steps`. `--help` leaves the advanced ones to `--help-all`.
    """

    model: str
    shown: str
    advanced: str = ""

    def parameters(self) -> Iterator[inspect.Parameter]:
        """Yield the options as parameters of a function."""
        for names, hidden in ((self.shown, False), (self.advanced, True)):
            for name, path in _fields(names):
                *owners, last = path
                owner = reduce(
                    lambda m, part: m.model_fields[part].annotation, owners, self._load()
                )
                field = owner.model_fields[last]
                kind = _cli_type(field.annotation)
                fits = get_origin(kind) is Literal or isinstance(field.default, kind)
                default = field.default if fits else None
                flag = f"--{name.replace('_', '-')}"
                if kind is bool and default is not False:
                    flag = f"{flag}/--no-{flag.removeprefix('--')}"
                shown = kind if default is not None else kind | None
                info = option(flag, field.description or "", hidden=hidden)
                annotated = Annotated.__class_getitem__((shown, info))  # type: ignore[attr-defined]
                yield _parameter(name, annotated, default)

    def build(self, params: dict[str, Any]) -> Any:
        """Build the model from the values of the options. Raises UsageError naming the option."""
        from gan_augment.settings import COMMAND_LINE

        values: dict[str, Any] = {}
        names: dict[str, str] = {}
        for name, (*owners, last) in _fields(f"{self.shown} {self.advanced}"):
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
        for param in ctx.command.params:
            param.hidden = False  # type: ignore[attr-defined]
        typer.echo(ctx.get_help())
        raise typer.Exit


def _read_config(ctx: typer.Context, file: Path | None) -> Path | None:
    """Take a TOML file's values as defaults: options at its top, or in a table of the command.

    The tables of other commands are skipped.
    """
    if file is None:
        return None
    from gan_augment.settings import read_toml

    table = read_toml(file)
    tables = {k: v for k, v in table.items() if isinstance(v, dict) and k != "columns"}
    for key in set(tables) - set(COMMANDS):
        raise UsageError(f"{file}: there is no command {key!r}.{did_you_mean(key, COMMANDS)}")
    values = {key: value for key, value in table.items() if key not in tables}
    known = {long_name(param): str(param.name) for param in ctx.command.params}
    ctx.default_map = {}
    for key, value in {**values, **tables.get(str(ctx.info_name), {})}.items():
        name = key.replace("-", "_")
        if name not in known:
            guess = did_you_mean(name, list(known))
            raise UsageError(f"{file}: there is no option {key!r}.{guess}")
        ctx.default_map[known[name]] = _as_text(value)
    return file


def _as_text(value: Any) -> Any:
    """Return a TOML value as the text of an option: HxW of pixels, a,b of names, a=b of a table."""
    if isinstance(value, dict):
        return ",".join(f"{name}={one}" for name, one in value.items())
    if isinstance(value, list):
        return ("x" if all(isinstance(item, int) for item in value) else ",").join(map(str, value))
    return value if isinstance(value, bool) else str(value)


_EVERYWHERE = {
    "config": Annotated[
        Path | None,
        typer.Option(
            "--config", is_eager=True, callback=_read_config, help="A TOML file of options."
        ),
    ],
    "help_all": Annotated[
        bool,
        typer.Option(
            "--help-all", is_eager=True, callback=_show_all, help="Show the rare options too."
        ),
    ],
    "verbose": Annotated[
        bool,
        typer.Option(
            "-v", "--verbose", callback=say_more, help="Log more to stderr: progress every 5 s."
        ),
    ],
    "as_json": Annotated[bool, option("--json", "Print one JSON object.")],
    "quiet": Annotated[bool, option("--quiet", "Print the output path only.")],
}
"""Options of every command; --config where there is --dry-run, --help-all where options hide."""


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
    given = {parameter.name for parameter in parameters}
    for name, kind in _EVERYWHERE.items():
        absent = (name == "config" and "dry_run" not in given) or (
            name == "help_all" and not any(one.advanced for one in models.values())
        )
        if not absent:
            parameters.append(_parameter(name, kind, None if name == "config" else False))

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
        if name in ctx.params and name not in ("dry_run", "config", "help_all"):
            source = ctx.get_parameter_source(name)
            words = {
                "COMMANDLINE": "given",
                "ENVIRONMENT": f"environment {getattr(param, 'envvar', '')}",
                "DEFAULT_MAP": f"config {ctx.params.get('config')}",
            }
            origin = words.get(source.name if source else "", "default")
            found[long_name(param)] = {"value": ctx.params[name], "source": origin}
    return found


def long_name(param: Any) -> str:
    """Return the name of an option in a config file: `--skip-bad` is skip_bad."""
    long = next((flag for flag in param.opts if flag.startswith("--")), str(param.name))
    return long.removeprefix("--").replace("-", "_")


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
