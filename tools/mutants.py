"""Mutation testing: apply one small fault at a time to a copy of the library and run its tests.

    python tools/mutants.py [--only WORD] [--jobs 2] [--check]

A fault replaces one piece of text. Its tests run on the copy until the first failure. A fault that
passes all its tests is printed, and the script exits with 1. `--check` only checks that every fault
still applies to the code.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
COPIED = ("gan_augment", "cli", "tests", "tools", "examples", "pyproject.toml", "README.md")


class Mutant(NamedTuple):
    """A fault below gan_augment/: `was` becomes `becomes` in `file`; `tests` should fail.

    tests: files below tests/, or single tests of a slow file, as pytest names them.
    """

    file: str
    was: str
    becomes: str
    tests: str


FAULTS = {
    # losses and penalties
    ("losses/adversarial.py", "losses/test_losses.py"): (
        ("F.relu(1 + fake).mean()", "F.relu(fake).mean()"),
        ("return F.softplus(real - fake)", "return F.softplus(fake - real)"),
    ),
    ("losses/penalties.py", "losses/test_losses.py"): (
        ("torch.lerp(fake, real,", "torch.lerp(real, fake,"),
        ("F.relu(mean_real.detach() - fake)", "F.relu(mean_fake.detach() - fake)"),
    ),
    # samples that start from a row
    ("training/translation.py", "training/test_translation.py"): (
        ("return parts.recipe.objective.cycle * error", "return error"),
        ("elif rng.random() < 0.5:", "elif rng.random() < 0.9:"),
        ("encoder.requires_grad_(False)", "encoder.requires_grad_(True)"),
    ),
    ("networks/translation.py", "training/test_translation.py"): (
        ("h = F.relu(self.first(x) + told)", "h = F.relu(self.first(x))"),
        ("(content - mean) / deviation * to_deviation", "(content - mean) * to_deviation"),
        ("if self.dropping and z is not None", "if self.dropping and self.training"),
    ),
    ("generators/source_rows.py", "generators/test_source_rows.py"): (
        ("np.flatnonzero(of_class != from_others)", "np.arange(len(of_class))"),
        ("if self.given is None:", "if self.given is not None:"),
    ),
    ("data/images/sources.py", "images/test_folders.py::test_a_broken_line_is_named"): (
        ("[(reader.line_num, row) for row in reader]", "list(enumerate(reader, 2))"),
    ),
    # steps, schedules, batches and what a generator is given
    ("training/step.py", "training/test_step.py"): (
        ("samples = output.x.detach()", "samples = output.x"),
    ),
    (
        "training/step.py",
        "training/test_step.py"
        "::test_the_augmentation_grows_while_d_is_sure_of_reals_and_shrinks_otherwise",
    ): (("== ADAPT_EVERY_STEPS - 1", "== 0"),),
    ("training/images.py", "training/test_step.py"): (
        ("index = [first, first ^ 1]", "index = [first, first]"),
    ),
    (
        "training/monitor.py",
        "training/test_loop.py::test_the_best_eligible_generator_is_kept_not_the_last",
    ): (("score.eligible and score.value < self.value", "score.value < self.value"),),
    ("networks/inputs.py", "networks/test_networks.py"): (
        ("unborrowed = np.where(borrows, 0, position)", "unborrowed = position"),
    ),
    ("data/batches.py", "data/test_rows.py"): (("step_on = 1 + (rng", "step_on = (rng"),),
    ("data/groups.py", "data/test_rows.py"): (
        ("unit_of_rows(data.groups, len(data)).tolist()", "unit_of_rows(None, len(data)).tolist()"),
    ),
    ("classifier.py", "training/test_classifier_network.py"): (
        ("rng.integers(len(rows_of), size=batch)", "np.zeros(batch, np.int64)"),
    ),
    # the traps of published recipes
    ("training/published.py", "training/test_literature.py"): (
        ("replace(b, x=seen(b.x),", "replace(b, x=b.x,"),
        ("objective.path_length * PATH_EVERY * term", "objective.path_length * term"),
        ("{name: buffer.clone() for", "{name: buffer for"),
        (
            "generator_step(state, parts, batch, output, unrolled_loss)",
            "generator_step(state, parts, batch, output)",
        ),
    ),
    ("training/step.py", "training/test_literature.py"): (
        ("""== "auxiliary" and objective.fake_classes:""", """== "auxiliary":"""),
        ("(loss + _class_term(parts, classes, batch.y))", "loss"),
        ("objective.drift * real.square().mean()", "objective.drift * fake.square().mean()"),
        ("""uniform("gradient_penalty", len(real))""", """uniform("gradient_penalty", 1)"""),
    ),
    ("networks/growing.py", "training/test_literature.py"): (
        ("x.square().mean(dim=1, keepdim=True)", "x.square().sum(dim=1, keepdim=True)"),
    ),
    ("networks/style.py", "training/test_literature.py"): (
        ("torch.cat([pixel_norm(z),", "torch.cat([z,"),
    ),
    ("networks/images.py", "training/test_literature.py"): (
        ("[nn.BatchNorm2d(after)]", "[nn.BatchNorm2d(after, 0.8)]"),
    ),
    # top-up plans and encoded tables
    ("data/topup_plan.py", "data/test_topup_plan.py"): (
        (") * n < rows)", ") * n <= rows)"),
        ("return self.repeats + self.generated", "return self.repeats"),
    ),
    ("data/tables/encoding.py", "data/test_encoding.py"): (
        ("half_row = 0.5 * mass[mass > 0].min()", "half_row = 0.0"),
        ("cells[state == self.states - 1] = np.nan", "pass"),
    ),
    # the evaluator
    ("evaluation/design.py", "evaluation/test_design.py"): (
        ("& ~np.isin(unit[train], unit[test])]", "]"),
        ("times[train] < times[test].min()", "times[train] <= times[test].min()"),
    ),
    ("evaluation/statistics.py", "evaluation/test_statistics.py"): (
        ("(1 / n + shared))", "(1 / n))"),
        ("self._quantile(CERTAIN) + self._quantile(POWER)", "self._quantile(CERTAIN)"),
    ),
    ("evaluation/verdict.py", "evaluation/test_verdict.py"): (
        ("gan.within(facts.delta) >= CERTAIN", "gan.within(2 * facts.delta) >= CERTAIN"),
        ("    if facts.copied:\n        why", "    if False:\n        why"),
        ("if not arm.beaten]", "if False]"),
    ),
    ("evaluation/generators.py", "evaluation/test_leaks.py"): (
        ("(twin.sum() + 1) / (len(twin) + 1), ", ""),
    ),
    ("evaluation/decisions.py", "evaluation/test_decisions.py"): (
        ("np.divide(real, trained,", "np.divide(trained, real,"),
    ),
    # what is kept of a run, and of its samples
    ("generators/selection.py", "generators/test_selection.py"): (
        ("[:, None]).all(axis=0)]", "[:, None]).any(axis=0)]"),
        ("(near | (self.distance == 0))", "near"),
    ),
    (
        "generators/selection.py",
        "generators/test_selection.py"
        "::test_no_fold_s_classifier_learns_a_row_that_the_other_fold_s_one_learns",
    ): (
        (
            "seen, unseen = rows[folds != fold], rows[folds == fold]",
            "seen, unseen = rows, rows[folds == fold]",
        ),
    ),
    ("networks/inputs.py", "generators/test_image_gan.py"): (
        ("sizes[other] >= 2 * sizes[label]", "sizes[other] >= sizes[label]"),
    ),
    ("generators/scorer.py", "generators/test_image_gan.py"): (
        ("max(kernel_distance(real, fake), 0.0)", "kernel_distance(real, fake)"),
    ),
    # metrics
    ("metrics/distances.py", "metrics/test_distances.py"): (
        ("within.sum() - within.trace()", "within.sum()"),
    ),
    ("metrics/neighbours.py", "metrics/test_neighbours.py"): (
        ("inside.any(axis=0)", "inside.all(axis=0)"),
        ("(distances < threshold) | (distances == 0)", "distances < threshold"),
    ),
    # files
}
"""{(file, tests): pairs of a line as it is and as a mistake would make it}."""
MUTANTS = tuple(
    Mutant(file, was, becomes, tests)
    for (file, tests), faults in FAULTS.items()
    for was, becomes in faults
)


def stale(mutant: Mutant) -> str:
    """Explain why a fault does not apply to the code, or return ""."""
    file = ROOT / "gan_augment" / mutant.file
    count = file.read_text(encoding="utf-8").count(mutant.was) if file.is_file() else 0
    if count != 1:
        return f"{mutant.was!r} occurs {count} times; expected once"
    for name in mutant.tests.split():
        path, _, test = name.partition("::")
        tests = ROOT / "tests" / path
        if not tests.is_file() or f"def {test}" not in tests.read_text(encoding="utf-8"):
            return f"tests/{name} does not exist"
    return ""


def survives(mutant: Mutant) -> str:
    """Run the tests of a fault; explain why none failed, or return ""."""
    if why := stale(mutant):
        return why
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(source, copy / name)
        file = copy / "gan_augment" / mutant.file
        text = file.read_text(encoding="utf-8")
        file.write_text(text.replace(mutant.was, mutant.becomes), encoding="utf-8")
        paths = [f"tests/{name}" for name in mutant.tests.split()]
        line = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *paths]
        single = {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join((folder, f"{folder}/cli"))}
        environment = {**os.environ, **single}
        run = subprocess.run(line, cwd=copy, env=environment, capture_output=True, text=True)
    if run.returncode == 1:
        return ""
    return "no test failed" if run.returncode == 0 else run.stdout[-500:] + run.stderr[-500:]


def main() -> None:
    """Try every fault and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="faults whose file contains this word")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--check", action="store_true", help="only check that the faults apply")
    options = parser.parse_args()
    chosen = [mutant for mutant in MUTANTS if options.only in mutant.file]
    with ThreadPoolExecutor(options.jobs) as pool:
        answers = list(pool.map(stale if options.check else survives, chosen))
    for mutant, why in zip(chosen, answers, strict=True):
        print(f"{'SURVIVES' if why else 'caught  '} {mutant.file}: {mutant.becomes} {why}")
    caught = sum(not why for why in answers)
    print(f"{caught} passed, {len(answers) - caught} failed")
    sys.exit(caught < len(answers))


if __name__ == "__main__":
    main()
