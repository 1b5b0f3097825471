"""Write the code that applies a recommended remedy to all rows. Start at `do_this`.

For tables it wraps the user's classifier in public classes; networks are fitted by `fit_remedy`;
for rows of a torch loader it writes the training loop.
"""

from __future__ import annotations

import inspect
import math
import shlex
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gan_augment.data.topup_plan import plan_topup
from gan_augment.errors import UsageError
from gan_augment.evaluation.design import Column, Design
from gan_augment.evaluation.estimators import (
    name_of,
    new_estimator,
    new_object,
    prepares_rows,
    weigh_evenly,
    weigh_labels,
)
from gan_augment.evaluation.learners import ADJUSTED, EVEN_PARTS
from gan_augment.evaluation.options import ARMS, Arm, EvaluationOptions
from gan_augment.options import FitOptions, TopUp

Lines = list[str]
MAIN = """

if __name__ == "__main__":  # python apply.py ROWS PREDICTIONS.csv
    import sys

    {imports}

    source, out = sys.argv[1:]
    {new}
    predictions = DataFrame({{"row": {ids}, "prediction": model.predict(new)}})
    predictions.to_csv(out, index=False)
"""
MEMORY = "# X, y: your rows and their labels"
LOOP = """
loss = {loss}
for x, y in {loader}:
    {mix}optimiser.zero_grad()
    loss(network(x), y).backward()
    optimiser.step()
"""
LATER = """
# for the other 30 %: the rows as they are, at a tenth of the rate
for group in optimiser.param_groups:
    group["lr"] /= 10"""
PREDICT = """

def predict(x):
    return {logits}.argmax(dim=1)"""
OURS, FACE = "gan_augment", "gan_augment.sklearn_api"
_NAMES = "[rows.names[label] for label in rows.labels]"
_READERS = {
    "image": ("read_images", f"{OURS}.data.arrays", "from_arrays"),
    "signal": ("read_signals", f"{OURS}.data.signals", "from_signals"),
}
"""{kind: (reader of files, module and name of that of arrays)}."""
_OF_GENERATORS = ("selection", "flips", "device", "precision")


class Imports(defaultdict[str, set[str]]):
    """The imports of a script, {module: names}."""

    def __init__(self) -> None:
        super().__init__(set)

    def call(self, module: str, name: str, *arguments: str, **settings: Any) -> str:
        """Import a name, and return the call of it. arguments: code; settings: values, not None."""
        self[module].add(name)
        given = [f"{key}={value!r}" for key, value in settings.items() if value is not None]
        return f"{name}({', '.join([*arguments, *given])})"

    def lines(self) -> Lines:
        """Return one statement for each module, and the way to those of the current folder."""
        files = [getattr(sys.modules.get(module), "__file__", None) for module in self]
        own = any(file and Path(file).resolve().parent == Path.cwd() for file in files)
        path = ["import sys", "", 'sys.path.append(".")'] if own else []
        return path + [
            f"from {module} import {', '.join(sorted(self[module]))}" for module in sorted(self)
        ]


def do_this(design: Design, arm: str, decision: Column) -> dict[str, str | None]:
    """Return the code that applies a remedy: an arm at a decision.

    "code": Python to paste, which ends in a fitted model; "main": the rest of `apply.py`, which
    predicts a file; "command": the command that adds the same rows, or None.
    """
    chosen, imports = ARMS.get(arm, Arm(arm, "sampler")), Imports()
    data, main = design.learned, ""
    lines = [f"# rows: {', '.join(f'{name} {n:,}' for name, n in data.counts.items())}"]
    if design.origin.loader and not data.kind.tabular:
        lines += _loop(design, chosen, decision, imports)
    else:
        later = Imports()
        read, new, ids = _reading(design, imports, later)
        model = _estimator if data.kind.tabular else _network
        lines += [*read, *model(design, chosen, decision, imports)]
        later["pandas"].add("DataFrame")
        main = MAIN.format(imports="\n    ".join(later.lines()), new="\n    ".join(new), ids=ids)
    code = "\n".join([*imports.lines(), "", *lines]) + "\n"
    return {"code": code, "main": main, "command": _command(design, chosen, decision)}


def _reading(design: Design, imports: Imports, later: Imports) -> tuple[Lines, Lines, str]:
    """Return the lines that read the rows again, those that read `new` rows, and their ids."""
    options, fit, origin = design.options, design.options.fit, design.origin
    read = [MEMORY]
    if design.data.kind.tabular and origin.backbone is None:
        gone = list(dict.fromkeys(options.aside.values()))
        features = f".drop(columns={gone!r})" if gone else ""
        target, columns = repr(fit.target or ""), options.kinds or None
        new = later.call(f"{OURS}.data.tables.reader", "read_unlabelled", "source", target)
        if origin.path is None:
            names = [*design.data.frame, *gone]
            if not isinstance(names[0], str):  # an array, whose columns are numbers
                features = f".set_axis(range({len(names)}), axis=1){features}"
            if gone:
                frame = imports.call(f"{OURS}.data.tables.containers", "as_frame", "X")
                read += [f"X = {frame}{features}"]
            return read, [f"new = {new}.frame{features}"], "range(len(new))"
        table = imports.call(OURS, "read_table", repr(origin.path), target, overrides=columns)
        read = [f"rows = {table}.data", f"X, y = rows.frame{features}, {_NAMES}"]
        return read, [f"new = {new}.frame[list(X)]"], "range(len(new))"
    kind = "image" if origin.backbone else design.data.kind.name
    reader, module, maker = _READERS[kind]
    how: dict[str, Any] = {"window": fit.window, "skip_bad": fit.skip_bad or None}
    if kind == "image":
        how["image_size"] = origin.image_size or design.data.image_shape[:2]
    rows = later.call(OURS, reader, "source", **how, labelled=False)
    if origin.path is None:
        read += [f"rows = {imports.call(module, maker, 'X', 'y')}"]
    else:
        read = [f"rows = {imports.call(OURS, reader, repr(origin.path), **how)}.data"]
    if origin.backbone is None:
        return read, [f"new = {rows}.data"], "new.ids"
    given = {"image_size": origin.image_size, "device": fit.device, "precision": fit.precision}
    network = imports.call(OURS, "FrozenFeatures", repr(origin.backbone), **given)
    read += [f'network = {network}.set_output(transform="pandas").fit()']
    read += [f"X, y = network.transform(rows.pixels), {_NAMES}"]
    return read, [f"rows = {rows}.data", "new = network.transform(rows.pixels)"], "rows.ids"


def _estimator(design: Design, arm: Arm, decision: Column, imports: Imports) -> Lines:
    """Return the lines that fit a scikit-learn classifier with the remedy to X and y."""
    data = design.learned
    estimator = new_estimator(
        design.learner.source, design.seed_of("learner", design.first_repeat[0])
    )
    if design.origin.path is not None:  # y are names there
        weigh_labels(estimator, {name: name for name in data.names})
    weights = weigh_evenly(estimator, data.labels) if arm.weighed else {}
    lines = [f"learner = {_written(estimator, imports, name_of(estimator))}"]
    encodes = not prepares_rows(estimator)
    if encodes:
        encoder = imports.call(FACE, "TableEncoder", columns=design.options.kinds or None)
        frozen = imports.call("sklearn.frozen", "FrozenEstimator", f"{encoder}.fit(X)")
        lines += [f"encoder = {frozen}  # of the real rows only"]
        lines += [f"learner = {imports.call(OURS, 'make_pipeline', 'encoder', 'learner')}"]
    metric, corrected = design.options.metric, decision == "corrected"
    if corrected and metric == "accuracy":  # to the shares of the real rows
        prior = _by_label(design, data.counts)
        fair = imports.call(OURS, "PriorCorrectedClassifier", "learner", prior=prior)
        lines += [f"learner = {fair}"]
    elif corrected and arm.source in ("none", "sampler") and not arm.weighed:
        lines += [f"learner = {imports.call(OURS, 'PriorCorrectedClassifier', 'learner')}"]
    if arm.source == "sampler":
        sampler = new_object(design.options.samplers[arm.name], "sampler", ("fit_resample",))
        lines += [f"sampler = {_written(sampler, imports, arm.name)}"]
        lines += [f"learner = {imports.call(OURS, 'make_pipeline', 'sampler', 'learner')}"]
    elif arm.source != "none":
        how = "corrected" if corrected and metric != "accuracy" else None
        lines += [f"sampler = {_sampler(design, arm, imports)}"]
        both = imports.call(OURS, "AugmentedClassifier", "learner", "sampler", decision=how)
        lines += [f"learner = {both}"]
    passed = ""
    for name in weights:
        argument = f"{type(estimator).__name__.lower()}__{name}" if encodes else name
        if corrected and metric == "accuracy":  # it counts them, and passes them on
            argument = "sample_weight"
        even = imports.call("sklearn.utils", "compute_sample_weight", '"balanced"', "y")
        passed += f", {argument}={even}"
    return [*lines, f"model = learner.fit(X, y{passed})"]


def _sampler(design: Design, arm: Arm, imports: Imports) -> str:
    """Return the sampler that adds rows as the arm does."""
    options, data = design.options, design.learned
    top_up = _top_up(design, arm)
    ends = plan_topup(data.counts, top_up, design.rare, data.kind.recipes)
    strategy = _by_label(design, {name: ends[name].total for name in design.rare})
    how: dict[str, Any] = {"sampling_strategy": strategy, "random_state": options.fit.seed % 2**32}
    chosen = [name for name, kind in options.kinds.items() if kind == "categorical"]
    how |= {"categorical_features": chosen or None}
    if arm.source != "gan":
        return imports.call(OURS, "GANAugmenter", **how, source=arm.source)
    if not design.keeps_generators:
        name = type(options.generator).__name__
        return f"...  # fill in: an over-sampler that adds rows of your {name}"
    recipe, companions = options.fit.recipe, top_up.companions
    if options.generator is not None:
        recipe = design.generator.recipe
    how |= {"synthetic_share": top_up.synthetic_share, "steps": design.steps}
    named = isinstance(recipe, str)  # else it is an object of the user
    how |= {"recipe": recipe if named and recipe != "auto" else None}
    how |= {"companions": None if companions == "auto" else companions}
    rare = _changed(options.fit)
    code = [f"options={imports.call(OURS, 'FitOptions', **rare)}"] if rare else []
    made = imports.call(OURS, "GANAugmenter", *code, **how)
    return made if named else f"{made}  # fill in recipe=, your {getattr(recipe, 'name', recipe)!r}"


def _changed(fit: FitOptions) -> dict[str, Any]:
    """Return the rare settings of a generator's fit that differ from the defaults."""
    values = {name: getattr(fit, name) for name in _OF_GENERATORS}
    return {name: one for name, one in values.items() if one != getattr(FitOptions(), name)}


def _top_up(design: Design, arm: Arm) -> TopUp:
    """Return the top-up of an arm; the share of generated rows is the one that was judged."""
    top_up = arm.top_up(design.options.top_up)
    share, _ = top_up.resolved(design.data.kind.recipes)
    return top_up.model_copy(update={"synthetic_share": share})


def _by_label(design: Design, values: Mapping[str, Any]) -> dict[Any, Any]:
    """Return {class: value} by the labels that the user's y has."""
    labels = design.origin.labels
    return {labels.get(name, name): value for name, value in values.items()}


def _network(design: Design, arm: Arm, decision: Column, imports: Imports) -> Lines:
    """Return the lines that train the network of the evaluation with the remedy."""
    options, lines, given = design.options, Lines(), Lines()
    fit: dict[str, Any] = {"classes": design.rare, "seed": options.fit.seed or None}
    own = {"learner": options.learner}
    if arm.source == "gan":
        own["generator"] = options.generator
        recipe = getattr(options.fit.recipe, "name", options.fit.recipe)
        fit |= {"recipe": None if recipe == "auto" else recipe, "steps": design.steps}
        fit |= _changed(options.fit)
    if arm.source == "sampler":
        own["samplers"] = {arm.name: options.samplers[arm.name]}
    for name, value in own.items():
        if value is not None:
            lines += [f"{name} = {_written(value, imports, f'the {name} of the evaluation')}"]
            given += [f"{name}={name}"]
    if options.top_up != TopUp():
        top_up = options.top_up.model_dump(exclude_defaults=True)
        given += [f"top_up={imports.call(OURS, 'TopUp', **top_up)}"]
    given += [f"fit={imports.call(OURS, 'FitOptions', **fit)}"]
    metric = None if options.metric == EvaluationOptions().metric else options.metric
    settings = imports.call(
        OURS, "EvaluationOptions", *given, updates=options.updates, metric=metric
    )
    remedy = ("rows", "options", repr(arm.name), repr(decision))
    model = imports.call(OURS, "fit_remedy", *remedy)
    return [*lines, f"options = {settings}", f"model = {model}"]


def _loop(design: Design, arm: Arm, decision: Column, imports: Imports) -> Lines:
    """Return a training loop with the remedy, for a network and a loader of the user."""
    data, top_up, torch = design.learned, _top_up(design, arm), f"{OURS}.torch_api"
    ends = plan_topup(data.counts, top_up, design.rare, data.kind.recipes)
    rows = [ends[name].total if arm.source != "none" else n for name, n in data.counts.items()]
    lines, mix = [f"counts = {rows}  # rows of {', '.join(data.names)}"], ""
    sources = {"repeats": "Repeats", "smote": "Smote"}
    how = top_up.model_dump(exclude_defaults=True) | {"classes": list(design.rare)}
    if arm.source == "sampler":
        lines += [f"loader = ...  # fill in: the rows of {arm.name}"]
    elif arm.source != "none":
        named = sources.get(arm.source)
        source = imports.call(OURS, named) if named else _sampler(design, arm, imports)
        lines += [f"sampler = {source}"]
        lines += [f"loader = {imports.call(torch, 'augment_loader', 'loader', 'sampler', **how)}"]
    if arm.method == "trivial_augment":
        lines += ["# fill in: torchvision.transforms.v2.TrivialAugmentWide() in the dataset"]
    if arm.method.startswith("mixup") or arm.method == "deferred":
        mix = imports.call(torch, "Mixup", classes=len(rows))
    elif arm.method == "cmo":
        mix = imports.call(torch, "CMO", "counts")
    lines += [f"mix = {mix}"] if mix else []
    mixed = "x, y = mix(x, y)\n    " if mix else ""
    if arm.weighed:
        even = [round(sum(rows) / (len(rows) * max(1, n)), 3) for n in rows]
        weight = imports.call("torch", "tensor", str(even))
        loss = imports.call("torch.nn", "CrossEntropyLoss", weight)
    elif arm.method in ADJUSTED:
        loss = imports.call(torch, "LogitAdjustedLoss", "counts")
    else:
        loss = imports.call("torch.nn", "CrossEntropyLoss")
    logits = _corrected(design, arm, rows, imports) if decision == "corrected" else "network(x)"
    text = "# yours: network, optimiser, loader"
    if arm.method == "deferred":
        repeats, how = imports.call(OURS, "Repeats"), {"classes": "all", "synthetic_share": 0.0}
        lines += [f"even = {imports.call(torch, 'augment_loader', 'loader', repeats, **how)}"]
        plain = imports.call("torch.nn", "CrossEntropyLoss")
        text += "\n# for 70 % of the updates: mixtures of rows, every class equally often"
        text += LOOP.format(loss=plain, loader="even", mix=mixed) + LATER
        mixed = ""
    text += LOOP.format(loss=loss, loader="loader", mix=mixed) + PREDICT.format(logits=logits)
    return [*lines, *text.splitlines()]


def _corrected(design: Design, arm: Arm, rows: Sequence[int], imports: Imports) -> str:
    """Return the logits of the corrected decision; an arm trained on even shares needs no term."""
    logits, part = "network(x)", EVEN_PARTS.get(arm.method, float(arm.weighed))
    if part < 1:
        even = part * sum(rows) / len(rows)
        trained = str([round((1 - part) * n + even, 1) for n in rows]) if part else "counts"
        logits = imports.call(f"{OURS}.torch_api", "corrected_logits", logits, trained)
    if design.options.metric == "accuracy":  # decides for the real shares
        real = imports.call("torch", "tensor", str([*design.learned.counts.values()]))
        logits = f"({logits} + {real}.log())"
    return logits


def _command(design: Design, arm: Arm, decision: Column) -> str | None:
    """Return the command that writes the data with the rows of the arm, if there is one."""
    origin, fit, top_up = design.origin, design.options.fit, _top_up(design, arm)
    if origin.path is None or origin.backbone or arm.method or arm.source not in ("repeats", "gan"):
        return None
    set_aside = design.options.group is not None or design.options.time is not None
    if set_aside or decision == "corrected":  # it writes rows only, and learns every column
        return None
    words = ["gan-augment", "augment", origin.path, f"OUT{Path(origin.path).suffix}"]
    if fit.target is None:
        words[-1] = "OUT"
    changed = fit.model_dump(exclude_defaults=True) | {"classes": design.rare}
    changed |= {"steps": design.steps, "recipe": fit.recipe}
    changed |= top_up.model_dump(exclude_defaults=True)
    for name, value in changed.items():
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            words += [f"--{flag}" if value else f"--no-{flag}"]
        elif value not in (None, "auto"):
            words += [f"--{flag}", _option_text(value)]
    return shlex.join(words)


def _option_text(value: Any) -> str:
    """Return a setting as the command line takes it."""
    if isinstance(value, Mapping):
        return ",".join(f"{name}={kind}" for name, kind in value.items())
    if isinstance(value, tuple):
        return ("x" if isinstance(value[0], int) else ",").join(map(str, value))
    return str(value)


def _written(value: Any, imports: Imports, name: str) -> str:
    """Return a value as code, or a remark about what is to be filled in."""
    try:
        return expression(value, imports)
    except (UsageError, ValueError) as error:  # ValueError: a class without a signature
        return f"...  # fill in {name}: {error}"


def expression(value: Any, imports: Imports) -> str:
    """Return code that makes an equal value. Raises UsageError if there is none.

    Objects with `get_params` are calls of their class with the parameters that differ from its
    defaults.

    >>> from sklearn.linear_model import LogisticRegression
    >>> expression(LogisticRegression(C=0.5), Imports())
    'LogisticRegression(C=0.5)'
    """
    value = value.item() if isinstance(value, np.generic) else value
    if value is None or isinstance(value, bool | int | str):
        return repr(value)
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else f'float("{value}")'
    if isinstance(value, list | tuple):
        inner = ", ".join(expression(one, imports) for one in value)
        return f"[{inner}]" if isinstance(value, list) else f"({inner}{',' * (len(value) == 1)})"
    if isinstance(value, dict):
        pairs = ((expression(a, imports), expression(b, imports)) for a, b in value.items())
        return f"{{{', '.join(f'{a}: {b}' for a, b in pairs)}}}"
    if callable(value) and hasattr(value, "__name__"):  # a class or a function
        return _imported(value, imports)
    if not hasattr(value, "get_params"):
        raise UsageError(f"a {type(value).__name__} cannot be written as code")
    usual = inspect.signature(type(value)).parameters
    given = [
        f"{name}={expression(one, imports)}"
        for name, one in value.get_params(deep=False).items()
        if name not in usual or repr(one) != repr(usual[name].default)
    ]
    return f"{_imported(type(value), imports)}({', '.join(given)})"


def _imported(value: Any, imports: Imports) -> str:
    """Import a class or a function from the shortest public module that has it; return its name."""
    name, parts = value.__name__, str(value.__module__).split(".")
    modules = [".".join(parts[:i]) for i in range(1, len(parts) + 1)]
    homes = [one for one in modules if getattr(sys.modules.get(one), name, None) is value]
    if not homes or homes[0] == "__main__":
        raise UsageError(f"{name} is defined in {value.__module__}, which cannot be imported")
    imports[homes[0]].add(name)
    return str(name)
