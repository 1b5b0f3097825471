"""Rows to parity for the comparisons on tables: by our default top-up, rivals, screened ideas."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import cached_property

import numpy as np
import pandas as pd
from sklearn.covariance import ledoit_wolf
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors
from smotes import GaussianSmote, TunedSmote
from tables_protocol import to_parity

from gan_augment.data.groups import judging_folds
from gan_augment.data.tables.columns import output_frame
from gan_augment.data.tables.reader import ReadTable, read_frame
from gan_augment.generators.baselines import Repeats, Smote
from gan_augment.generators.choose import choose_recipe
from gan_augment.generators.generator import RunContext
from gan_augment.generators.tabular_gan import TabularGAN
from gan_augment.kinds.kind import Labelled
from gan_augment.options import TopUp
from gan_augment.recipes import CANDIDATES, RECIPES, Recipe

TARGET, CHOICE_S = "target", 60.0  # seconds of a choice among recipes
FEW_ROWS = 10
"""Smaller classes get the rows of the default instead of those of an idea."""
Added = tuple[pd.DataFrame, np.ndarray]


def ours(X: pd.DataFrame, y: np.ndarray, categorical: list[str], seed: int) -> Added:
    """TabularGAN by its defaults with one thread; told only which columns are levels.

    The facts of the fit lie in the frame's `attrs`.
    """
    read, began_s = _read(X, y, categorical), time.perf_counter()
    gan = _new(y, seed).fit(read.table, schema=read.schema)
    fit_s = time.perf_counter() - began_s
    return _topped_up(gan, read, y, seed, {"chosen": gan.meta_.chosen, "fit_s": round(fit_s, 2)})


def _read(X: pd.DataFrame, y: np.ndarray, categorical: list[str]) -> ReadTable:
    return read_frame(X.assign(**{TARGET: y}), TARGET, dict.fromkeys(categorical, "categorical"))


def _new(y: np.ndarray, seed: int) -> TabularGAN:
    return TabularGAN(classes=list(to_parity(y)), threads=1, device="cpu", random_state=seed)


def _topped_up(
    gan: TabularGAN, read: ReadTable, y: np.ndarray, seed: int, facts: dict[str, object]
) -> Added:
    """Generated rows and repeats, in the default shares, until every class has as many rows."""
    share, companions = TopUp().resolved("table")
    if companions:
        raise ValueError("the default top-up has companions; parity has no place for them")
    asked = to_parity(y)
    made = {name: round(n * TopUp().resolved("table")[0]) for name, n in asked.items()}
    again = {name: n - made[name] for name, n in asked.items()}
    began_s = time.perf_counter()
    parts = [gan.sample(made, random_state=seed)]
    sample_s = time.perf_counter() - began_s
    if any(again.values()):
        repeats: Repeats = Repeats()
        parts.append(repeats.fit(read.table).sample(again, random_state=seed))
    rows = pd.concat([part.frame for part in parts], ignore_index=True)
    rows.attrs = facts | {"share": share, "sample_s": round(sample_s, 3)}
    names = [np.array(part.names, dtype=object)[part.labels] for part in parts]
    return rows, np.concatenate(names)


# rows of every arm for one part of the training rows, in the encoded space of the default model

IDEAS = ("borrow", "errors", "density")
"""Screened beside the default, and kept here since none of them pays (`tables.md`)."""


class Rows:
    """Makes the rows of any arm for one training part; the default model is fitted once."""

    def __init__(self, X: pd.DataFrame, y: np.ndarray, categorical: list[str], seed: int) -> None:
        self._read, self._y, self._seed = _read(X, y, categorical), y, seed
        self._gan = replace(_new(y, seed), recipe="anchored", steps=0)  # interpolation
        self._gan.fit(self._read.table, schema=self._read.schema)
        self._sampler = self._gan._sampler
        self._anchors = self._sampler.anchors
        self.chosen_k: int | None = None
        self.chosen_recipe = ""

    def _choice(self) -> Recipe:
        """Return the recipe that short fits prefer, or the default where they are undecided."""
        recipes = {name: RECIPES["table"][name] for name in CANDIDATES["table"]}
        gan, read, run = _new(self._y, self._seed), self._read, RunContext()
        found, _ = choose_recipe(gan, read.table, recipes, run, CHOICE_S, read.schema)
        return recipes[found["winner"] or "gaussian"]

    def of(self, arm: str, k: int | None = None) -> Added | None:
        """Rows to parity. k: neighbours of the tuned SMOTE, chosen here where none is given."""
        if arm == "none":
            return None
        if arm in ("ours", "interpolation", "choose", *RECIPES["table"]):
            gan = self._gan
            if arm != "interpolation":
                recipe = self._choice() if arm == "choose" else arm
                recipe = "auto" if arm == "ours" else recipe
                gan = replace(_new(self._y, self._seed), recipe=recipe)
                gan.fit(self._read.table, schema=self._read.schema)
                self.chosen_recipe = gan.meta_.recipe.name
            return _topped_up(gan, self._read, self._y, self._seed, {})
        if arm in IDEAS:
            return self._half_repeats(arm)
        data, asked = self._read.table, to_parity(self._y)
        least = min(n for name, n in data.counts.items() if name in asked and n > 1)
        synthesizer: Repeats | Smote = Repeats()
        if arm == "smote":
            synthesizer = Smote(min(5, least - 1))
        elif arm == "smote_tuned":
            synthesizer = TunedSmote() if k is None else Smote(min(k, least - 1))
        elif arm == "gaussian_smote":
            synthesizer = GaussianSmote()
        schema = {} if arm == "repeats" else {"schema": self._read.schema}
        synthesizer.fit(data, **schema)
        if arm == "smote_tuned":
            self.chosen_k = synthesizer.k_neighbors
        few = {
            n: m
            for n, m in asked.items()
            if arm != "repeats" and data.counts[n] <= getattr(synthesizer, "k_neighbors", 0)
        }
        parts = [
            synthesizer.sample(
                {n: m for n, m in asked.items() if n not in few}, random_state=self._seed
            )
        ]
        if few:  # a lone row is repeated, as the evaluator does
            parts.append(Repeats().fit(data).sample(few, random_state=self._seed))
        return _joined(parts)

    def _half_repeats(self, arm: str) -> Added:
        """Half repeats, half rows of an idea, as the default top-up."""
        asked, data = to_parity(self._y), self._read.table
        made = {name: round(n * TopUp().resolved("table")[0]) for name, n in asked.items()}
        again = {name: n - made[name] for name, n in asked.items()}
        small = {n: m for n, m in made.items() if data.counts[n] < FEW_ROWS}
        parts = [Repeats().fit(data).sample(again, random_state=self._seed)]
        parts.append(self._gan.sample(small, random_state=self._seed))
        frames = [part.frame for part in parts]
        names = [np.array(part.names, dtype=object)[part.labels] for part in parts]
        for name, n in made.items():
            if name in small or not n:
                continue
            rng = np.random.default_rng([self._seed, data.names.index(name), len(arm)])
            encoded = getattr(self, f"_{arm}")(data.names.index(name), n, rng).astype(np.float32)
            cells = self._sampler.encoding.decode(encoded)
            frames.append(output_frame(cells, self._read.schema, n))
            names.append(np.full(n, name, dtype=object))
        return pd.concat(frames, ignore_index=True), np.concatenate(names)

    def _between(
        self, label: int, n: int, rng: np.random.Generator, weights: np.ndarray | None = None
    ) -> np.ndarray:
        """Interpolated rows of a class; weights: of its rows as anchors."""
        start, stop = self._anchors.of(label)
        index = start + rng.choice(stop - start, size=n, p=weights)
        near = self._anchors.neighbours
        other = near[index, rng.integers(near.shape[1], size=n)]
        position, rows = rng.random((n, 1)), self._anchors.rows
        nearer = np.where(position > 0.5, rows[other], rows[index])
        numbers = list(self._sampler.encoding.numbers)
        nearer[:, numbers] = ((1 - position) * rows[index] + position * rows[other])[:, numbers]
        return nearer

    def _borrow(self, label: int, n: int, rng: np.random.Generator) -> np.ndarray:
        """Half interpolated; half moved as two near rows of the largest other class differ.

        The rows of the lender are one of the 15 nearest to the anchor and a neighbour of it; the
        reach is drawn from 0..1, and levels stay the anchor's.
        """
        labels, rows = self._anchors.labels, self._anchors.rows
        sizes = np.bincount(labels)
        sizes[label] = 0
        first, last = self._anchors.of(int(sizes.argmax()))
        start, stop = self._anchors.of(label)
        half = n // 2
        anchor = start + rng.integers(stop - start, size=half)
        _, unique = np.unique(anchor, return_inverse=True)
        lender = NearestNeighbors(n_neighbors=min(15, last - first)).fit(rows[first:last])
        near = lender.kneighbors(rows[np.unique(anchor)], return_distance=False)[unique]
        one = first + near[np.arange(half), rng.integers(near.shape[1], size=half)]
        two = self._anchors.neighbours[
            one, rng.integers(self._anchors.neighbours.shape[1], size=half)
        ]
        moved, numbers = rows[anchor].copy(), list(self._sampler.encoding.numbers)
        moved[:, numbers] += (rng.random((half, 1)) * (rows[two] - rows[one]))[:, numbers]
        return np.concatenate([moved, self._between(label, n - half, rng)])

    def _errors(self, label: int, n: int, rng: np.random.Generator) -> np.ndarray:
        """Interpolated from anchors drawn by .1 + 1 - p(own class), out of three folds.

        p: mean of a logistic regression and of nearest neighbours, at even class shares.
        """
        start, stop = self._anchors.of(label)
        return self._between(label, n, rng, self._wrong[start:stop] / self._wrong[start:stop].sum())

    @cached_property
    def _wrong(self) -> np.ndarray:
        rows, labels = self._anchors.rows, self._anchors.labels
        folds, wrong = (
            judging_folds(labels, None, folds=3, seed=self._seed),
            np.full(len(labels), 0.5),
        )
        for fold in range(3):
            seen, held = folds != fold, np.flatnonzero(folds == fold)
            for model in (LogisticRegression(max_iter=100), KNeighborsClassifier(15)):
                model.fit(rows[seen], labels[seen])
                even = model.predict_proba(rows[held]) / np.bincount(labels[seen])[model.classes_]
                even /= even.sum(axis=1, keepdims=True)
                own = np.searchsorted(model.classes_, labels[held])
                wrong[held] += 0.5 * (0.5 - even[np.arange(len(held)), own])
        return 0.1 + wrong

    def _density(self, label: int, n: int, rng: np.random.Generator) -> np.ndarray:
        """A kernel density: a row of the class and noise of its shrunk covariance.

        Bandwidth (4 / (n (d + 2)))^(1 / (d + 4)) (Silverman 1986, eq. 4.14), shrinkage by Ledoit &
        Wolf 2004, rows drawn to the mean by sqrt(1 - h^2), so that the class keeps its variance.
        """
        start, stop = self._anchors.of(label)
        own, numbers = self._anchors.rows[start:stop], list(self._sampler.encoding.numbers)
        rows = own[rng.integers(len(own), size=n)].copy()
        if numbers:
            x, d = own[:, numbers].astype(np.float64), len(numbers)
            h = min(0.7, (4 / (len(x) * (d + 2))) ** (1 / (d + 4)))
            noise = rng.multivariate_normal(np.zeros(d), ledoit_wolf(x)[0], size=n, method="eigh")
            mean = x.mean(axis=0)
            rows[:, numbers] = mean + np.sqrt(1 - h**2) * (rows[:, numbers] - mean) + h * noise
        return rows


def _joined(parts: list[Labelled]) -> Added:
    rows = pd.concat([part.frame for part in parts], ignore_index=True)
    return rows, np.concatenate([np.array(part.names, dtype=object)[part.labels] for part in parts])
