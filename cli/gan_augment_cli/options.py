"""The options that commands share: their texts, what they mean, and where each value came from."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer

from gan_augment.errors import UsageError, did_you_mean
from gan_augment_cli.console import say_more

if TYPE_CHECKING:
    from gan_augment.options import FitOptions, TopUp

COMMANDS = (
    *("augment", "choose", "fit", "sample", "translate"),
    *("evaluate", "inspect", "demo"),
)
DEFAULT_BUDGET = "5m"
COLUMN_KINDS = ("categorical", "numeric", "datetime", "id")

PANELS = {
    "Data": "data path run result target categorical numeric datetime id schema most_rows classes "
    "image_size resize window flips skip_bad unlabelled group time gap group_duplicates against "
    "domain masks from_",
    "Training": "recipe recipes steps budget gan_budget until patience d_steps optimiser rate "
    "schedule selection seed device precision model seconds table backbone "
    "convert",
    "Top-up": "counts to synthetic_share companions match resize_originals super_resolve",
    "Evaluation": "test learner features metric delta folds repeats arms sampler updates "
    "diagnostics extractor fail_on",
    "Running": "threads processes workers shard n_jobs backend address allow_code resume "
    "force config dry_run verbose help",
    "Output": "",
}
"""{panel of --help: the parameters in it}; all others are in the last."""

Value = TypeVar("Value")


def option(flags: str, text: str, **more: Any) -> Any:
    """An option that the environment may set too: `--skip-bad` is GAN_AUGMENT_SKIP_BAD."""
    name = flags.split("/")[0].removeprefix("--").replace("-", "_").upper()
    return typer.Option(flags, help=text, envvar=f"GAN_AUGMENT_{name}", show_envvar=False, **more)


Data = Annotated[
    Path,
    typer.Argument(
        metavar="DATA",
        show_default=False,
        help="A folder with a folder per class (images, or signals as .npy or .wav), a .npz file, "
        "a .csv of path,label[,group]; or with --target a table, .csv or .parquet.",
    ),
]
OutFolder = Annotated[
    Path,
    typer.Argument(
        metavar="OUT", show_default=False, help="The folder to write; the file, for a table."
    ),
]
RunFolder = Annotated[
    Path, typer.Argument(metavar="RUN", show_default=False, help="The folder of a trained run.")
]

Classes = Annotated[str, option("--classes", "Which to top up: rare, all, or names with commas.")]
Unlabelled = Annotated[
    str | None,
    option(
        "--unlabelled",
        "More images in a folder, at any depth, or rows in a file, of classes that nobody knows; "
        "for --recipe semi-supervised and acgan.",
    ),
]
RecipeName = Annotated[str, option("--recipe", "How to train: auto, or a name or .toml file.")]
Steps = Annotated[int | None, option("--steps", "Train for so many steps; repeats a run.")]
Budget = Annotated[
    str | None,
    option(
        "--budget",
        "Train for about so long (90s, 10m, 1h), unless --steps is given.  [default: 5m for "
        "images; tables are not trained]",
    ),
]
Until = Annotated[
    str | None, option("--until", "End at this held-out score of images: score=0.2, say.")
]
Patience = Annotated[
    int | None,
    option("--patience", "End after so many scores of images without a better one.", min=1),
]
DSteps = Annotated[int | None, option("--d-steps", "Of the discriminator for each of G.", min=1)]
Optimiser = Annotated[
    Literal["adam", "adamw", "rmsprop", "sgd"] | None, option("--optimiser", "Of both networks.")
]
Rate = Annotated[float | None, option("--rate", "The learning rate of both networks.")]
Schedule = Annotated[
    Literal["constant", "linear", "cosine"] | None, option("--schedule", "How the rate falls.")
]
Target = Annotated[
    str | None, option("--target", "The column of labels; DATA is a table then, not images.")
]
Categorical = Annotated[
    str | None, option("--categorical", "Columns of levels, with commas; else inferred.")
]
Numeric = Annotated[
    str | None, option("--numeric", "Columns of numbers, with commas; else inferred.")
]
Datetime = Annotated[
    str | None, option("--datetime", "Columns of dates or times, with commas; else inferred.")
]
Ids = Annotated[str | None, option("--id", "Columns that name rows: not learned, numbered anew.")]
Schema = Annotated[
    Path | None,
    option("--schema", 'A TOML file with a table [columns] of lines like zip = "categorical".'),
]
Mark = Annotated[
    bool, option("--mark", "Add a last column, synthetic, to the table (lines get one cell more).")
]
MostRows = Annotated[
    int, option("--most-rows", "Of a Parquet file of more rows, learn from so many.", min=1000)
]
ImageSize = Annotated[
    str | None, option("--image-size", "Size the model works at, HEIGHTxWIDTH px.")
]
Resize = Annotated[
    Literal["squeeze", "crop", "pad"], option("--resize", "How other aspects are made to fit.")
]
Window = Annotated[
    int | None,
    option("--window", "Samples: signals are cut into windows of so many, one behind another."),
]
Flips = Annotated[bool, option("--flips/--no-flips", "Whether a mirror image keeps its label.")]
Backbone = Annotated[
    str | None,
    option(
        "--backbone",
        "A pretrained network: EfficientNet-Lite0's weights (.safetensors), timm:NAME:FILE, or "
        "path.py:name.",
    ),
]
SuperResolve = Annotated[
    int | None,
    option(
        "--super-resolve", "2 or 4: draw images at so many times the model's side.", min=2, max=4
    ),
]
Selection = Annotated[
    bool,
    option("--selection/--no-selection", "Whether to give only generated images worth keeping."),
]
Seed = Annotated[int, option("--seed", "Same seed, same result.", min=0)]
Device = Annotated[str, option("--device", "auto, cpu, cuda or cuda:1.")]
Precision = Annotated[
    Literal["auto", "float32", "bf16"], option("--precision", "Of the arithmetic in training.")
]
Threads = Annotated[int | None, option("--threads", "Of the training process.", min=1)]
Workers = Annotated[int | None, option("--workers", "Processes that read or sample.", min=1)]
Processes = Annotated[
    int | None,
    option("--processes", "Train with so many processes of this machine, as torchrun does.", min=1),
]
SkipBad = Annotated[
    bool,
    option(
        "--skip-bad",
        "Go on without the files that cannot be read, however many: else a class that loses more "
        "than 1 file or 5 % of its files (whichever is more), or keeps under 2, stops the command.",
    ),
]
AllowCode = Annotated[
    bool, option("--allow-code", "Run the file that makes a model's own networks; read it first.")
]
Resume = Annotated[bool, option("--resume", "Continue what was interrupted.")]
Overwrite = Annotated[bool, option("--overwrite", "Replace an output of an earlier run.")]
AsJson = Annotated[bool, option("--json", "Print one JSON object.")]
Quiet = Annotated[bool, option("--quiet", "Print the output path only.")]
Verbose = Annotated[
    bool,
    typer.Option(
        "-v",
        "--verbose",
        callback=say_more,
        help="Say more on stderr: the library's log, and where the work is every 5 s.",
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Show what would be done, and every option's origin.")
]


def _read_config(ctx: typer.Context, file: Path | None) -> Path | None:
    """Take a TOML file's values as defaults: options at its top, or in a table of the command."""
    if file is not None:
        from gan_augment.settings import read_toml

        try:
            ctx.default_map = _defaults(ctx, file, read_toml(file))
        except UsageError as error:
            raise typer.BadParameter(str(error)) from None
    return file


def _defaults(ctx: typer.Context, file: Path, table: dict[str, Any]) -> dict[str, Any]:
    """Values by parameter name; the tables of other commands are left alone."""
    shared = {key: value for key, value in table.items() if not isinstance(value, dict)}
    for key in set(table) - set(shared) - set(COMMANDS):
        raise UsageError(f"{file}: there is no command {key!r}.{did_you_mean(key, COMMANDS)}")
    own = table.get(str(ctx.info_name), {})
    known = {_long_name(param): param.name for param in ctx.command.params}
    texts = {}
    for key, value in {**shared, **own}.items():
        name = key.replace("-", "_")
        if name not in known:
            raise UsageError(
                f"{file}: there is no option {key!r}.{did_you_mean(name, list(known))}"
            )
        texts[known[name]] = _as_text(value)
    return texts


Config = Annotated[
    Path | None,
    typer.Option("--config", is_eager=True, callback=_read_config, help="A TOML file of options."),
]


def choices(ctx: typer.Context) -> dict[str, dict[str, Any]]:
    """Every argument and option of the command, {name: {"value", "source"}}, as `--help` has it."""
    return {
        _long_name(param): {"value": ctx.params[param.name], "source": _origin(ctx, param)}
        for param in ctx.command.params
        if param.name in ctx.params and param.name not in ("dry_run", "config")
    }


def fit_options(ctx: typer.Context) -> FitOptions:
    """The settings of a fit from the options of the command; `--steps` silences `--budget`."""
    from gan_augment.options import FitOptions, seconds
    from gan_augment.settings import COMMAND_LINE

    params = ctx.params
    chosen = fit_settings(ctx)
    budget = params["budget"] or (None if params.get("target") is not None else DEFAULT_BUDGET)
    if params["steps"] is None and budget is not None:
        chosen["budget_s"] = read(budget, seconds, "--budget")
    return FitOptions.checked(chosen, COMMAND_LINE)


def fit_settings(ctx: typer.Context) -> dict[str, Any]:
    """What of a fit's settings the command's options say, but for the budget."""
    from gan_augment.options import FitOptions

    params = ctx.params
    chosen = {
        name: params[name] for name in FitOptions.model_fields if params.get(name) is not None
    }
    chosen["columns"] = column_kinds(ctx)
    if params["image_size"] is not None:
        chosen["image_size"] = read(params["image_size"], height_width, "--image-size")
    return chosen


def column_kinds(ctx: typer.Context) -> dict[str, str]:
    """{column: kind} from the options that name columns; they win over the file of `--schema`."""
    from gan_augment.data.tables.schema import Overrides

    params = ctx.params
    flags = {kind: params[kind] for kind in COLUMN_KINDS if params.get(kind) is not None}
    named = Overrides.of(**{kind: names(text) for kind, text in flags.items()})
    file = params.get("schema")
    kinds = named if file is None else Overrides.read(file).merged(named)
    return {str(name): kind for name, kind in kinds.columns.items()}


def top_up(ctx: typer.Context) -> TopUp:
    """The two numbers and the switch of a top-up from the options of the command."""
    from gan_augment.options import TopUp
    from gan_augment.settings import COMMAND_LINE

    params = ctx.params
    chosen = {
        "to": read(params["to"], target, "--to"),
        "synthetic_share": read(params["synthetic_share"], share, "--synthetic-share"),
        "companions": "auto" if params["companions"] is None else params["companions"],
    }
    return TopUp.checked(chosen, COMMAND_LINE)


def read(text: str, parse: Callable[[str], Value], flag: str) -> Value:
    """The value of an option's text; a refusal names the option."""
    try:
        return parse(text)
    except UsageError as error:
        raise UsageError(f"{flag}: {error}") from None
    except ValueError:  # of thousands of digits
        raise UsageError(f"{flag}: {text[:20]}... is too long a number") from None


def _long_name(param: Any) -> str:
    """The option's name as in a config file: `--skip-bad` is skip_bad; an argument's own name."""
    long = next((flag for flag in param.opts if flag.startswith("--")), str(param.name))
    return long.removeprefix("--").replace("-", "_")


def _as_text(value: Any) -> Any:
    """A TOML value as the text an option takes: lists of pixels are HxW, of names a,b."""
    if isinstance(value, list):
        return ("x" if all(isinstance(item, int) for item in value) else ",").join(map(str, value))
    return value if isinstance(value, bool) else str(value)


def _origin(ctx: typer.Context, param: Any) -> str:
    source = ctx.get_parameter_source(param.name)
    words = {
        "COMMANDLINE": "given",
        "ENVIRONMENT": f"environment {param.envvar}",
        "DEFAULT_MAP": f"config {ctx.params.get('config')}",
    }
    return words.get(source.name if source else "", "default")


def height_width(text: str) -> tuple[int, int]:
    """Pixels as HEIGHTxWIDTH, or one number for a square.

    >>> height_width("48x32"), height_width("32")
    ((48, 32), (32, 32))
    """
    match = re.fullmatch(r"(\d+)(?:x(\d+))?", text)
    if match is None:
        raise UsageError(f"{text!r} is no image size; expected HEIGHTxWIDTH px, such as 48x32")
    return int(match[1]), int(match[2] or match[1])


def row_counts(text: str) -> int | dict[str, int]:
    """A count for every class, or one a class as `name=count,name=count`.

    >>> row_counts("100"), row_counts("owl=30,wren=20")
    (100, {'owl': 30, 'wren': 20})
    """
    if text.isdecimal():
        return int(text)
    pairs = [part.rpartition("=") for part in text.split(",")]
    if not all(name and count.isdecimal() for name, _, count in pairs):
        raise UsageError(f"{text!r} is no count; expected a number, or name=number,name=number")
    return {name: int(count) for name, _, count in pairs}


def names(text: str) -> list[str]:
    """Names with commas between them.

    >>> names("zip, sex")
    ['zip', 'sex']
    """
    return [name.strip() for name in text.split(",") if name.strip()]


def target(text: str) -> str | int | float:
    """What a class ends with: a word, a whole number of rows, or a fraction of the majority.

    >>> target("majority"), target("500"), target("0.5"), target("1.0")
    ('majority', 500, 0.5, 1.0)
    """
    return _number(text) if text[:1].isdigit() or text[:1] in "-." else text


def share(text: str) -> float | str:
    """A share in 0..1, or the word "auto" (any other word is left for the library to refuse).

    >>> share("0.5"), share("auto")
    (0.5, 'auto')
    """
    return text if text == "auto" else float(_number(text))


def _number(text: str) -> int | float:
    try:
        return int(text) if text.lstrip("-").isdecimal() else float(text)
    except ValueError:
        raise UsageError(f"{text[:40]!r} is no number") from None
