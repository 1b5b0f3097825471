"""Write docs/figures.md, the tables of all results, from the committed results of this folder.

    python examples/benchmarks/figures.py           # write the page
    python examples/benchmarks/figures.py --check   # exit with 1 if the page is not up to date

A table is a selection of rows and columns of a result, with names for readers. Nothing is computed
but unit conversions and means over seeds.
"""

from __future__ import annotations

import json
import re
import sys
import textwrap
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

HERE = Path(__file__).resolve().parent
PAGE = HERE.parents[1] / "docs" / "figures.md"
Row = dict[str, str]
ARMS = {
    "none": "nothing added",
    "class_weight": "class weights",
    "weights": "class weights",
    "oversample": "repeats",
    "smote": "SMOTE, k = 5",
    "smote_tuned": "SMOTE, k tuned",
    "gaussian_smote": "Gaussian SMOTE",
    "interpolation": "interpolation",
    "balanced_softmax": "balanced softmax",
    "mixup": "mixup of repeats",
    "mixup_balanced_softmax": "mixup, balanced softmax",
    "cmo": "CMO",
    "gan": "generated rows",
    "gan+mixup": "generated rows, mixup",
    "gan+cmo": "generated rows, CMO",
    "cifar10_dev": "CIFAR-10",
    "gtsrb_dev_32": "traffic signs",
    "gtsrb_dev_32 (3)": "traffic signs",
    "magnetic_tile_32": "magnetic tiles, 32 px",
    "magnetic_tile_64": "magnetic tiles, 64 px",
    "blood_cells_32": "blood cells",
    "fashion_mnist": "Fashion-MNIST",
    "fashion_mnist_long_tail": "Fashion-MNIST",
}
"""Names of arms and data sets for readers; all others stay as they are."""


def named(text: str) -> str:
    """Return the reader's name of an arm or a data set, keeping what follows a comma."""
    plain, _, rest = text.replace("**", "").partition(",")
    plain = re.sub(r" \((?!3\))\d+\)$", "", plain)  # the number of draws
    return ", ".join([ARMS.get(plain.strip(), plain.strip()), *([rest.strip()] if rest else [])])


def read_json(name: str) -> Any:
    """Return a result of this folder; of .jsonl a list."""
    text = (HERE / name).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()] if name[-1] == "l" else json.loads(text)


def read_table(name: str, heading: str = "") -> list[Row]:
    """Return the first table below a heading of a Markdown result, {column: cell} a row."""
    text = (HERE / name).read_text(encoding="utf-8")
    start = text.index(f"## {heading}") if heading else 0
    lines = text[start:].splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("|"))
    found = []
    for line in lines[first:]:
        if not line.startswith("|"):
            break
        found.append([cell.strip() for cell in line.strip().strip("|").split("|")])
    head, _, *rows = found
    first = {name: head.index(name) for name in head}  # a name may come twice
    return [{name: row[at] for name, at in first.items()} for row in rows]


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table."""
    lines = [list(head), ["---"] * len(head), *([str(cell) for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def remedy(text: str) -> str:
    """Return the reader's name of a recommended remedy, from "arm, decision"."""
    arm, _, decision = text.partition(", ")
    if arm == "none":
        return "corrected decision" if decision == "corrected" else "no remedy"
    return named(arm)


def wrapped(text: str) -> str:
    """Return a paragraph in lines of at most 110 characters."""
    return textwrap.fill(
        " ".join(text.split()), 110, break_on_hyphens=False, break_long_words=False
    )


def interval(cell: str) -> str:
    """Return a difference with its interval, without the count of tables above."""
    return re.sub(r"; [\d/]+\)", ")", cell)


def points(found: dict[str, float]) -> str:
    """Return a mean and its interval in points, from shares."""
    return f"{found['mean']:+.1%} ({found['low']:+.1%} to {found['high']:+.1%})".replace("%", "")


def tables_default() -> str:
    """Generated rows by default minus other arms, on 19 tables."""
    every, few = (
        {row["ours minus"]: row for row in read_table("tables.md", heading)}
        for heading in ("All sizes together", "20 rows of each rare class")
    )
    head = "balanced accuracy", "... 20 rare rows", "... tuned decision", "macro-F1"
    rows = []
    for arm in ("none", "repeats", "smote", "smote_tuned", "gaussian_smote", "interpolation"):
        cells = (
            every[arm]["balanced_accuracy"],
            few[arm]["balanced_accuracy"],
            every[arm]["tuned balanced_accuracy"],
            every[arm]["macro_f1"],
            every[arm]["average_precision"],
        )
        rows.append([named(arm), *map(interval, cells)])
    return table(["generated rows minus", *head, "average precision"], rows)


def tables_auto() -> str:
    """Mean ranks of six arms, and what choosing the amount is worth."""
    text = (HERE / "amounts.md").read_text(encoding="utf-8")
    rows = []
    for row in read_table("amounts.md"):
        name = row["mean rank (sd of the seeds' means)"]
        gains = [
            re.search(rf"Auto minus {arm},.*?- {name}: (\S+) \((\S+) to (\S+)\)", text, re.DOTALL)
            for arm in ("none", "ours")
        ]
        cells = [
            "{:+.1f} ({:+.1f} to {:+.1f})".format(*(100 * float(n) for n in gain.groups()))
            for gain in gains
            if gain
        ]
        ranks = [row[arm].split()[0] for arm in ("auto", "ours", "weight", "repeats", "smote")]
        rows.append(
            [name.replace("_", " ").replace("f1", "F1"), *ranks, row["none"].split()[0], *cells]
        )
    head = ["judged by", "auto", "generated, parity", "weights", "repeats", "SMOTE", "nothing"]
    return table([*head, "auto minus nothing", "auto minus parity"], rows)


def tables_ctgan() -> str:
    """Generated rows minus those of CTGAN, in balanced accuracy, and times of a fit."""
    found = read_json("against_ctgan.json")["figures"]["ours minus"]
    fits = read_json("table_speed.json")["fits"]
    rare, every = (
        points(found[f"ctgan {how}"]["balanced_accuracy"]) for how in ("minority", "rejection")
    )
    speed = ", ".join(f"{fit['times faster']:.0f} ({name})" for name, fit in fits.items())
    return wrapped(
        f"Generated rows minus CTGAN: {rare} points of balanced accuracy if CTGAN learns only the "
        f"rare class, {every} if it learns all rows and samples are kept by class. A fit of CTGAN "
        f"takes {speed} times as long as a trained fit here."
    )


def tables_recipes() -> str:
    """Every recipe of tables minus the default."""
    rows = read_table("tables_recipes.md", "All sizes together")
    gains = {
        named(row["ours minus"]).split(",")[0]: -float(row["balanced_accuracy"].split()[0])
        for row in rows
        if row["ours minus"] != "choose"
    }
    ordered = sorted(gains, key=lambda name: -gains[name])
    return table(ordered, [[f"{gains[name] + 0:+.1f}" for name in ordered]])


def images_rivals() -> str:
    """Fashion-MNIST: each way to train, at both decisions."""
    rows = []
    for row in read_table("images_rivals.md", "fashion_mnist, 1,400 updates"):
        own, corrected = (row[name].split(" / ")[:2] for name in ("own", "corrected"))
        rows.append(
            [named(row["arm (draws)"]), ", ".join(own), ", ".join(corrected)]
            + [row[f"minus {name}"] for name in ("repeats", "the best")]
        )
    head = ["rare recall, balanced accuracy", "unchanged decision", "corrected decision"]
    return table([*head, "corrected, minus repeats", "minus balanced softmax"], rows)


def images_sets() -> str:
    """Generated rows beside the best free remedy on other sets."""
    fits = [line for line in read_json("images_rivals.jsonl") if "told_apart" in line]
    rows = []
    for name, updates in (
        ("cifar10_dev", "1,400"),
        ("gtsrb_dev_32 (3)", "700"),
        ("magnetic_tile_32", "700"),
        ("magnetic_tile_64", "700"),
        ("blood_cells_32", "1,400"),
    ):
        found = read_table("images_rivals.md", f"{name}, {updates} updates")
        by = {re.sub(r"[*]|( \(\d\))", "", row["arm (draws)"]): row for row in found}
        best = next(row for row in found if row["arm (draws)"].startswith("**"))
        of = lambda row: ", ".join(row["corrected"].split(" / ")[:2])  # noqa: E731
        apart = mean(line["told_apart"] for line in fits if line["task"] == name)
        cells = [of(by[arm]) for arm in ("none", "repeats", "gan")]
        best_name = f"{named(best['arm (draws)'])}: {of(best)}"
        rows.append([named(name), *cells, best_name, by["gan"]["minus the best"], f"{apart:.2f}"])
    head = ["rare recall, balanced accuracy", "nothing added", "repeats", "generated rows"]
    more = ["best free remedy", "generated minus best free", "classifier's accuracy"]
    return table([*head, *more], rows)


def images_confirmed() -> str:
    """Generated rows minus repeats, by set, with and without companions."""
    rows = []
    shown = "Colour and texture: two minutes a fit, by groups, seeds 0, 1, 2: "
    for heading, name in (
        ("Confirmed", "Fashion-MNIST, ten minutes"),
        (f"{shown}blood_cells_32", "blood cells"),
        (f"{shown}magnetic_tile_32", "magnetic tiles, 32 px"),
    ):
        repeats, *ways = read_table("images.md", heading)[:3]
        cells = [way[figure] for figure in ("rare recall", "balanced accuracy") for way in ways]
        rows.append([name, f"{repeats['rare recall']}, {repeats['balanced accuracy']}", *cells])
    ways_of = [
        f"{figure}, {way}"
        for figure in ("rare recall", "balanced accuracy")
        for way in ("with", "without")
    ]
    return table(["data", "repeats", *ways_of], rows)


def recipes_compared() -> str:
    """Every recipe of images on three sets for the same seconds."""
    by: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for line in read_json("recipes_compare.jsonl"):
        by.setdefault((line["set"], line["recipe"]), []).append(line)
    base = {
        (one["set"], one["seed"]): one["corrected_rare_recall"]
        for (_, recipe), lines in by.items()
        if recipe == "repeats"
        for one in lines
    }
    order = sorted(
        {
            recipe
            for (_, recipe), lines in by.items()
            if "score" in lines[0] and re.fullmatch("(?!choose)[^/]+", recipe)
        },
        key=lambda recipe: (
            mean(line.get("score", 0) for line in by["fashion", recipe])
            if ("fashion", recipe) in by
            else 99
        ),
    )
    rows = []
    for recipe in order:
        if ("cifar", recipe) not in by or ("digits", recipe) not in by:
            continue
        cells = [f"{mean(line['score'] for line in by['digits', recipe]):.2g}"]
        for name in ("fashion", "cifar"):
            lines = by[name, recipe]
            of = lambda key, lines=lines: mean(line[key] for line in lines)  # noqa: E731
            gains = [line["corrected_rare_recall"] - base[name, line["seed"]] for line in lines]
            cells += [f"{of('score'):.2g}", f"{of('frechet'):.0f}", f"{of('spread'):.2f}"]
            cells += [f"{of('told_apart'):.2f}", f"{100 * mean(gains):+.1f}"]
        rows.append([f"`{recipe}`", *cells])
    each = ["score", "FID", "spread", "classifier", "rare recall"]
    return table(
        ["recipe", "digits score", *(f"F {n}" for n in each), *(f"C {n}" for n in each)], rows
    )


def starts() -> str:
    """Held-out scores of short fits by the start of the networks."""
    found = read_table("starts.md", "What was reached")[:-1]  # the last row is a ratio
    found = [row for row in found if row["set"] != "beats"]
    ways = {"scratch": "scratch", "components": "principal components"}
    rows = [
        [f"{text}, {steps} steps", *(row[steps] for row in found if row["way"] == way)]
        for steps in ("100", "400")
        for way, text in ways.items()
    ]
    sets = [named(row["set"]) for row in found if row["way"] == "scratch"]
    return table(["start", *sets], rows)


def features() -> str:
    """Balanced accuracy on features of a frozen network, logistic regression."""
    found = [row for row in read_table("features.md") if "logistic" in row["balanced accuracy"]]
    head = list(found[0])
    rows = [
        [named(row[head[0]].replace(", logistic", "")), *(row[name] for name in head[1:])]
        for row in found
    ]
    names = {
        "as it is": "unchanged",
        "gaussian_borrow": "Gaussian borrow",
        head[-2]: "generated minus best free",
    }
    return table([names.get(name) or named(name) for name in head], rows)


def signals() -> str:
    """Rare recall on simulated heart beats, without and with augmentation of the batches."""
    found = {(row["added"], row["batches"]): row for row in read_table("signals.md")}
    figures = "rare recall", "rare recall, corrected", "balanced accuracy, corrected"
    rows = [
        [
            named(arm),
            *(
                found[arm, batches][figures[i]]
                for batches, i in (
                    ("as they are", 1),
                    ("changed", 0),
                    ("changed", 1),
                    ("changed", 2),
                )
            ),
        ]
        for arm in ("none", "repeats", "smote", "gan")
    ]
    plain = "rare recall, corrected, without augmentation"
    return table(["added", plain, *figures], rows)


def translation() -> str:
    """Translated rows minus repeats."""
    names = {"tiles": "tiles", "fashion": "Fashion-MNIST", "blood": "blood cells"}
    found = {
        (name, row["arm"]): row for name in names for row in read_table("translation.md", name)
    }
    figures = "rare recall", "balanced accuracy"
    rows = [
        [arm, *(found[name, arm][figure] for name in names for figure in figures)]
        for arm in ("mixup", "stargan", "inpaint", "anchored")
    ]
    return table(["added", *(f"{name}: {f}" for name in names.values() for f in figures)], rows)


def recommendations() -> str:
    """What each choice gains on rows set aside."""
    head = ["data", "splits", "as it is, %", "**recommended**", "**applied**"]
    more = ["always corrected", "always SMOTE", "always generated rows"]
    rows = [
        [named(row["data"]), *(row[name] for name in (*head[1:], *more))]
        for row in read_table("recommendations.md")
        if not row["data"].endswith((", boosting", ", logistic", "lowest**"))
    ]
    shown = [name.replace("**", "").replace("as it is", "unchanged") for name in (*head, *more)]
    return table(shown, rows)


def deferred() -> str:
    """Deferred re-balancing."""
    found = read_table("deferred.md")
    head = list(found[0])[2:]
    rows = [
        [named(one["data"]), *(f"{two[arm]}; {one[arm]}" for arm in head)]
        for one, two in zip(found[::2], found[1::2], strict=True)
    ]
    return table(["rare recall; balanced accuracy", *map(named, head)], rows)


def verdicts() -> str:
    """What `evaluate` says on public data."""
    head = ["data", "rows", "rare rows", "verdict", "decision", "gan - none", "could show"]
    last = "own decision: none, gan"
    rows = [
        [named(row["data"])]
        + [row[name].replace("oversample", "repeats") for name in (*head[1:], last)]
        for row in read_table("verdicts.md")
    ]
    shown = [*head[:5], "generated minus nothing", "detectable", "unchanged: nothing, generated"]
    return table(shown, rows)


def trials() -> str:
    """Verdicts and recommendations on simulated tables."""
    planted = {
        "nothing": "nothing helps",
        "aa": "only the decision helps",
        "power": "generated rows help by the detectable difference",
        "harm": "generated rows of the wrong class",
    }
    rows = []
    for name, text in planted.items():
        found = read_json("evaluator_trials.json")["campaigns"][name]["5x3"]
        said = (found["words"], found.get("recommended", {}))
        cells = [", ".join(f"{n} {remedy(word)}" for word, n in by.items()) for by in said]
        rows.append([text, *cells])
    return table(["planted", "verdict, of 200", "recommended, of 200"], rows)


def speed() -> str:
    """Speed and memory."""
    train, memory, rows = (
        read_json(f"{name}.json") for name in ("training_speed", "memory", "table_speed")
    )
    rate = train["one thread, images/s"]["ours"]["median"]
    both = train["share of the machine, two threads"]["images/s"]["median"]
    slower = train["ratios"]["ours / textbook, same networks"]["median"]
    draw = train["sampling, one thread, images/s"]
    fit, sample = (mean(r["highest_pss_mib"] for r in memory[n]) for n in ("fit", "sample"))
    adult = rows["sampling"]
    one, two = (adult[f"rows/s, {n}"]["median"] for n in ("one thread", "all cores"))
    loader = [
        read_json("loader_speed.json")[f"tensors, {n} workers"]["ours / plain"]["median"]
        for n in (0, 2)
    ]
    small = read_json("evaluator_small.json")["5 x 3"]["wall_s"]["median"]
    photos = read_json("photos.json")["verdict"]["seconds"]
    kills, faults = read_json("scale.json")["kills"]["SIGKILL"], read_json("faults.json")
    tried = sum(campaign["trials"] for campaign in faults["campaigns"].values())
    lines = [
        ("training, 32 px colour: one thread, two", f"{rate:.0f} and {both:.0f} images/s"),
        ("... the same networks in a textbook loop", f"{slower:.1f} times slower"),
        (
            "sampling, one thread: arrays, PNG",
            f"{draw['to uint8']['median']:,.0f} and {draw['to PNG bytes']['median']:,.0f} images/s",
        ),
        ("memory, 60,000 images of 32 px: fit, sample", f"{fit:.0f} and {sample:.0f} MiB"),
        ("rows of adult drawn: one thread, two", f"{one:,.0f} and {two:,.0f} rows/s"),
        (
            "an epoch of `augment_loader` over a plain loader, 0 and 2 workers",
            f"{loader[0]:.2f} and {loader[1]:.2f} times the time",
        ),
        ("evaluation of 2,000 rows by logistic regression, 5 folds x 3", f"{small:.0f} s"),
        ("1,000 JPEGs of 300 x 260 px to a verdict on features", f"{photos:.0f} s"),
        ("killed fits of two ranks resumed byte for byte", f"{kills['equal']} of {kills['runs']}"),
        ("injected faults with a wrong outcome", f"{faults['wrong']} of {tried:,}"),
    ]
    return table(["what", "measured"], lines)


BLOCKS: tuple[tuple[str, str, Callable[[], str]], ...] = (
    (
        "Tables",
        """
        **Generated rows by default** minus other arms: points with 95 % intervals over 19 public
        tables, four learners. Rare classes are whole or cut to 20, 50, 100 or 200 rows
        (`tables.md`).
        """,
        tables_default,
    ),
    (
        "",
        """
        **Choosing the amount** by `amount="auto"` on the same tables: mean rank of six arms (1 is
        best), and gains in points (`amounts.md`).
        """,
        tables_auto,
    ),
    (
        "",
        """
        **Other recipes** minus `gaussian`, the default: points of balanced accuracy on six tables,
        one seed, four learners (`tables_recipes.md`, `against_ctgan.json`).
        """,
        lambda: f"{tables_recipes()}\n\n{tables_ctgan()}",
    ),
    (
        "Images",
        """
        **Generated rows and free remedies**: Fashion-MNIST, three classes of 30 rows, seven of 500,
        five choices of the three; a small CNN (`images_rivals.md`). Percent; points with 95 %
        intervals over the choices.
        """,
        images_rivals,
    ),
    (
        "",
        """
        **Other data**, corrected decision: percent and points. The last column is the accuracy of a
        classifier that distinguishes generated from real images; 0.5 is guessing.
        """,
        images_sets,
    ),
    (
        "",
        """
        **Generated rows minus repeats**, unchanged decision, with and without companions in other
        classes: percent and points with 95 % intervals over classes and seeds (`images.md`).
        """,
        images_confirmed,
    ),
    (
        "",
        """
        **Training methods**, corrected decision: percent, mean and deviation over three draws.
        Deferred: mixup of balanced draws, then balanced softmax (`deferred.md`).
        """,
        deferred,
    ),
    (
        "Recipes",
        """
        **Images**, the same seconds for each: 30 on digits, 120 on Fashion-MNIST (F) and CIFAR-10
        (C), two seeds (`recipes_compare.md`). Score: kernel distance to held-out rows, lower is
        better. Spread: 1 is that of real rows. Classifier: accuracy in distinguishing samples from
        real rows. Rare recall: points over repeats, corrected.
        """,
        recipes_compared,
    ),
    (
        "",
        """
        **Starts of a fit**: held-out score of two draws, lower is better. Fits of
        up to three minutes start from principal components (`starts.md`).
        """,
        starts,
    ),
    (
        "Photos, signals, translation",
        """
        **Features of a frozen network**, logistic regression: balanced accuracy in percent,
        corrected decision but for the first column. CNN: a small network from scratch
        (`features.md`).
        """,
        features,
    ),
    (
        "",
        """
        **Simulated heart beats**, three classes of 1,000 rows, two of 30, three seeds: percent, and
        points over repeats (`signals.md`).
        """,
        signals,
    ),
    (
        "",
        """
        **Translated rows minus repeats**, corrected decision: points, one number per seed
        (`translation.md`).
        """,
        translation,
    ),
    (
        "The evaluator",
        """
        **What its recommendation gains**: points of balanced accuracy on the half set aside; the
        six tables are in `recommendations.md`. SMOTE: repeats for images, signals. Applied: also
        what was suggested as free to try.
        """,
        recommendations,
    ),
    (
        "",
        """
        **Verdicts on public data**: balanced accuracy in points with 95 % intervals, and in percent
        (`verdicts.md`).
        """,
        verdicts,
    ),
    (
        "",
        """
        **Simulated trials**: 120 rare and 600 common rows, logistic regression, 5 folds x 3, 200
        tables a line (`evaluator_trials.json`). A generator that leaks test rows is refused always.
        """,
        trials,
    ),
    (
        "Speed, memory, robustness",
        """
        **Medians** on two cores with AVX512-BF16, no GPU, torch 2.13.
        """,
        speed,
    ),
)
"""(heading or "", caption, maker of the table)."""


def page() -> str:
    """Return the text of docs/figures.md."""
    head = (
        "# Figures\n\nFor readers who check a number. "
        "`python examples/benchmarks/figures.py` writes this page from the committed\n"
        "results; [Benchmarks](../examples/benchmarks/README.md) names the script of each.\n\n"
        "![Modes of a ring by recipe](../examples/benchmarks/modes.png)"
    )
    parts = [
        f"{title and f'## {title}{2 * chr(10)}'}{wrapped(caption)}\n\n{make()}"
        for title, caption, make in BLOCKS
    ]
    return "\n\n".join([head, *parts]) + "\n"


def main(asked: list[str]) -> int:
    """Write the page, or compare it with its file."""
    if "--check" in asked:
        return int(PAGE.read_text(encoding="utf-8") != page())
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
