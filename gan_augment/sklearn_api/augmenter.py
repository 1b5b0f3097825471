"""`GANAugmenter`: the library as an imbalanced-learn sampler. Its parts are the files beside it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from imblearn.over_sampling.base import BaseOverSampler
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import validate_data

from gan_augment.errors import NotFittedError, UsageError, warn
from gan_augment.randomness import derived_seed
from gan_augment.recipes import Recipe
from gan_augment.sklearn_api import saved
from gan_augment.sklearn_api.asked import rows_to_add, sizes_given
from gan_augment.sklearn_api.given import Given, Labelled, columns_in, new_rows, read_given
from gan_augment.sklearn_api.image_form import ImageForm
from gan_augment.sklearn_api.labelled import labelled, refuse_datasets
from gan_augment.sklearn_api.making import trained, why_not_kept
from gan_augment.sklearn_api.resampling import Resampled, generates, topped_up
from gan_augment.sklearn_api.settings import Settings, drawn_seed, threads
from gan_augment.sklearn_api.table_form import TableForm
from gan_augment.synthesizers.base import checked_seed
from gan_augment.training.callbacks import Callback

if TYPE_CHECKING:
    from gan_augment.sklearn_api.making import GAN

Label = Any


class GANAugmenter(BaseOverSampler):  # type: ignore[misc]
    """Top up rare classes with GAN samples, as a step of an imbalanced-learn pipeline.

    Real rows come first and in order, as they were given; behind them repeats of real rows and
    generated ones, class by class. Images are arrays of pixels, everything else is a table.

    Parameters
    ----------
    sampling_strategy : float, str, dict, list or callable, default="auto"
        Which classes are topped up and how far; all but the last line as in imbalanced-learn.

        - float: rows of the smaller of two classes, as a share of the larger one's.
        - "auto" or "not majority", "minority", "not minority", "all": those classes get as many
          rows as the largest has.
        - dict: {label: rows at the end}; a callable is given y and returns such a dict.
        - "rare", or a list of labels: those classes get as many rows as the largest has. Rare is
          fewer than half of an equal share, n_c < N / (2 K).
    synthetic_share : float in [0, 1] or "auto", default="auto"
        Of the rows added, the part that is generated; the rest repeats real rows. "auto" is 0.5,
        and where nothing is generated nothing is trained.
    companions : bool or "auto", default="auto"
        Whether the classes that are not topped up get generated rows too, so that every class holds
        the same share of them. "auto" is True for images and False for tables.
    recipe : str or Recipe, default="auto"
        How to train: "auto", "anchored", "free", the path of a .toml file, or a `Recipe`.
    steps : int or None, default=None
        Training steps. None is the recipe's own number, never a time.
    budget : float, str or None, default=None
        A time instead: seconds, or a text such as "90s", "10m", "1h30m". `steps` wins if both.
    image_shape : tuple (H, W) or (H, W, C), default=None
        Of images that come flattened, (N, H x W x C). Not needed for (N, H, W) and (N, H, W, C).
    categorical_features : "infer", list or mask, default="infer"
        Columns of a table that hold levels, by name, number or mask, whatever they look like. All
        others are inferred: numbers are numbers, texts and categories are levels.
    selection : bool, "auto", "off" or None, default="auto"
        Whether only images worth keeping are given; classes without enough get repeats.
    device : str, default="auto"
        "cpu", "cuda", "cuda:1"; "auto" takes a GPU that is there.
    n_jobs : int or None, default=None
        Threads, -1 for all cores. None decides, and takes one thread inside a joblib worker.
    random_state : int, RandomState or None, default=None
        Drawn from once a fit: None is NumPy's global generator, as in scikit-learn. With an int the
        same data gives the same rows, byte for byte.
    warm_start : bool, default=False
        With True a fitted or loaded model that knows every class and has the same columns (names,
        kinds, dtypes, constants) or image size is used as it is, whatever rows it was trained on;
        where it does not fit, one is trained anew and a warning says why. `clone` drops models.
    callbacks : sequence of Callback or None, default=None
        Told every event of training. `clone` copies them, and so does a pipeline with memory.
    verbose : int, default=0
        1 writes what happens to stderr. Warnings come by `warnings.warn` in any case.

    Attributes
    ----------
    synthesizer_ : ImageGAN, TabularGAN or None
        The fitted model; None where no generated row was asked for.
    sampling_strategy_ : dict
        {label: rows to add}, companions not counted.
    origin_ : ndarray of str, (N,)
        After `fit_resample`, of every row of the result: "real", "repeat", "synthetic" or
        "companion".
    synthetic_mask_ : ndarray of bool, (N,)
        Which rows of the result are generated.
    n_generated_ : int
        How many that are.
    refused_ : dict
        {label: why} of classes that were filled with repeats: those of one row, for example.
    classes_ : ndarray (K,)
        The labels, in y's dtype.
    schema_ : TableSchema
        Of a table: what every column was taken for.
    n_features_in_ : int
        Columns of a table; numbers an image.
    feature_names_in_ : ndarray of str
        Names of the columns, where all are text.

    Raises
    ------
    DataError
        (a ValueError) for X and y that cannot be used: y that is a regression target, multi-label,
        partly missing or of one class; infinite values; pixels that are neither 0..1 nor 0..255;
        a sparse X of more than 256 MiB as a dense one.
    UsageError
        (a ValueError) for parameters.

    Notes
    -----
    scikit-learn's own `Pipeline` refuses every step that changes the number of rows (SLEP005): "All
    intermediate steps should be transformers and implement fit and transform or be the string
    'passthrough'". Two cures: `gan_augment.make_pipeline`, which is imbalanced-learn's; or
    `gan_augment.AugmentedClassifier`, which goes last into any pipeline.

    An anchored model contains encoded training rows; share it as you would share the data.

    Examples
    --------
    >>> from collections import Counter
    >>> from sklearn.datasets import make_classification
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.preprocessing import StandardScaler
    >>> from gan_augment import GANAugmenter, make_pipeline
    >>> X, y = make_classification(60, weights=[0.8], random_state=0)
    >>> augmenter = GANAugmenter(steps=2, random_state=0, n_jobs=1)
    >>> model = make_pipeline(StandardScaler(), augmenter, LogisticRegression()).fit(X, y)
    >>> X_more, y_more = augmenter.fit_resample(X, y)
    >>> sorted(Counter(y.tolist()).items()), sorted(Counter(y_more.tolist()).items())
    ([(0, 49), (1, 11)], [(0, 49), (1, 49)])
    >>> augmenter.sampling_strategy_, augmenter.n_generated_
    ({1: 38}, 19)
    """

    synthesizer_: GAN | None

    def __init__(
        self,
        *,
        sampling_strategy: float
        | str
        | Mapping[Label, int]
        | Sequence[Label]
        | Callable[[NDArray[Any]], Mapping[Label, int]] = "auto",
        synthetic_share: float | Literal["auto"] = "auto",
        companions: bool | Literal["auto"] = "auto",
        recipe: str | Recipe = "auto",
        steps: int | None = None,
        budget: float | str | None = None,
        image_shape: tuple[int, ...] | None = None,
        categorical_features: ArrayLike | str | None = "infer",
        selection: str | bool | None = "auto",
        device: str = "auto",
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        warm_start: bool = False,
        callbacks: Sequence[Callback] | None = None,
        verbose: int = 0,
    ) -> None:
        super().__init__(sampling_strategy=sampling_strategy)
        self.synthetic_share = synthetic_share
        self.companions = companions
        self.recipe = recipe
        self.steps = steps
        self.budget = budget
        self.image_shape = image_shape
        self.categorical_features = categorical_features
        self.selection = selection
        self.device = device
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None) -> Self:
        """Train without resampling, on every class; `sample` then draws from the model.

        Parameters
        ----------
        X : array, frame or sparse matrix as of `fit_resample`; or a `LabelledImages` or
            `LabelledTable`, a map-style torch Dataset or a DataLoader, which bring their labels.
        y : the labels, (N,); None where X brings them.

        Returns
        -------
        self
        """
        Settings.of(self.get_params(deep=False))  # before X is read
        return self._fit_given(labelled(X, y) or self._read(X, y))

    def _fit_given(self, given: Labelled) -> Self:
        """As `fit`, of what is read already: its groups, if it has some, stay whole in trials."""
        settings = Settings.of(self.get_params(deep=False))
        self._count_features(given)
        added: dict[Label, int] = {}
        held = [name for name, n in given.data.counts.items() if n]
        if len(held) > 1:  # labelled data may hold one class
            added = rows_to_add(self.sampling_strategy, given.labels, given.data.labels)
        names = [given.labels.name_of(label) for label, n in added.items() if n]
        self._train(given, names or held, settings)
        self._describe(added, None)
        return self

    def fit_resample(self, X: Any, y: Any) -> tuple[Any, Any]:
        """Train on X and y, and give them back with the rows that their classes lack.

        Parameters
        ----------
        X : images, (N, H, W) or (N, H, W, C), or flattened (N, H x W x C) with `image_shape`;
            uint8, bool, or numbers in 0..1 or 0..255. Or a table (N, columns): an array, a list of
            rows, a pandas or polars frame, an Arrow table, or a sparse matrix (made dense up to
            256 MiB); missing cells, texts, categories and moments are welcome.
        y : (N,) labels: text, whole numbers or booleans, in a list, array, series or frame of one
            column; or (N, K) of 0 and 1, one class against all others.

        Returns
        -------
        X_resampled, y_resampled : in the containers, shapes, dtypes and scale of X and y, the rows
            given first and in order. The default index of a frame goes on; one of whole numbers
            goes on after its largest; any other is numbered anew.

        A class of one row is filled with repeats of it, and a warning names it.
        """
        refuse_datasets(X)
        return self._fit_resample(X, y)

    def _fit_resample(self, X: Any, y: Any) -> tuple[Any, Any]:
        settings = Settings.of(self.get_params(deep=False))
        given = self._read(X, y)
        self._count_features(given)
        share, companions = settings.top_up(given.kind)
        added = rows_to_add(self.sampling_strategy, given.labels, given.data.labels)
        names = [given.labels.name_of(label) for label, n in added.items() if n]
        if generates(given, added, share, companions):
            self._train(given, names, settings)
            share, companions = settings.top_up(given.kind, self.synthesizer_)
        else:
            self._remember(given, None)
        seed = derived_seed(self._seed, "fit_resample")  # `sample` is to draw other rows
        exact, shares = sizes_given(self.sampling_strategy), (share, companions)
        result = topped_up(given, added, self.synthesizer_, *shares, seed=seed, exact=exact)
        self._describe(added, result)
        return result.x, result.y

    def sample(
        self, counts: Mapping[Label, int], random_state: int | None = None
    ) -> tuple[Any, Any]:
        """Draw exactly `counts` = {label: n} new rows from the fitted model, in that order.

        random_state: an int of 0 or more; None is the one of the fit, so that the first rows are
        the same however often and however many are asked for.

        Returns (X, y) in the containers that were fitted on. Raises NotFittedError, UsageError (a
        negative count, or no counts by label), UnknownClassError.
        """
        model = self._trained()
        if not isinstance(counts, Mapping):
            raise UsageError(f"sample({counts!r}); expected counts by label, {{label: n}}")
        names = {self._labels.name_of(label): n for label, n in counts.items()}
        seed = self._seed if random_state is None else checked_seed(random_state)
        made = model.sample(names, random_state=seed)
        codes = np.array([self._labels.names.index(made.names[i]) for i in made.labels], dtype=int)
        return new_rows(self._form, made), self._labels.of(codes)

    def save(self, folder: str | Path) -> None:
        """Write the fitted model and what gives rows back in X's and y's containers, as a folder.

        safetensors and JSON, no pickle; `gan-augment sample` and `inspect` read it too. A callable
        `sampling_strategy`, a RandomState, a Recipe and callbacks are not kept. Replaces what was
        saved there before; raises OutputExistsError for a folder of anything else.
        """
        model, names = self._trained(), getattr(self, "feature_names_in_", None)
        facts = {
            "seed": self._seed,
            "feature_names": None if names is None else tuple(names.tolist()),
            "asked": tuple(getattr(self, "sampling_strategy_", {}).items()),
        }
        params = self.get_params(deep=False)
        saved.write(Path(folder), model, saved.face_of(params, self._form, self._labels, facts))

    @classmethod
    def load(
        cls,
        folder: str | Path,
        *,
        device: str = "auto",
        n_jobs: int | None = None,
        warm_start: bool = True,
    ) -> Self:
        """Read what `save` wrote, or a run of `gan-augment fit`, or a saved ImageGAN or TabularGAN.

        warm_start: True, so that `fit_resample` uses the model as it is where it fits the data.
        Of a run, images come back as uint8 (N, H, W, C), rows of a table as pandas frames.
        Raises ModelFileError.
        """
        found = saved.read(Path(folder), device=device, threads=threads(n_jobs))
        augmenter = cls(device=device, n_jobs=n_jobs, warm_start=warm_start)
        augmenter._restore(found)
        return augmenter

    def _restore(self, found: saved.Loaded) -> None:
        """Take what a folder holds."""
        gan, face = found.gan, found.face
        self._form, self._labels = found.form, found.labels
        self._seed = gan.meta_.seed if face is None else face.seed
        self.synthesizer_, self.classes_ = gan, found.labels.classes
        if isinstance(found.form, TableForm):
            self.schema_ = found.form.schema
            self.n_features_in_ = len(self.schema_.columns)
        else:
            self.n_features_in_ = math.prod(found.form.shape)
        if face is None:
            return
        kept = set(self.get_params(deep=False)) - {"device", "n_jobs", "warm_start"}
        self.set_params(**saved.settings_in(face, kept))
        self.sampling_strategy_ = dict(face.asked)
        if face.feature_names is not None:
            self.feature_names_in_ = np.array(face.feature_names, dtype=object)

    def _trained(self) -> GAN:
        if not hasattr(self, "synthesizer_"):
            raise NotFittedError(
                "this GANAugmenter is not fitted; call fit(X, y) or GANAugmenter.load(folder)"
            )
        if self.synthesizer_ is None:
            raise NotFittedError(
                "no generated row was to be added, so no model was trained; call fit(X, y), which "
                "trains in any case, or raise synthetic_share"
            )
        return self.synthesizer_

    def _read(self, X: Any, y: Any) -> Given:
        return read_given(
            X, y, image_shape=self.image_shape, categorical_features=self.categorical_features
        )

    def _train(self, given: Labelled, names: Sequence[str], settings: Settings) -> None:
        """Train, or keep what warm_start allows to be kept."""
        known = getattr(self, "synthesizer_", None) if self.warm_start else None
        seed = drawn_seed(self.random_state)
        if known is not None:
            why = why_not_kept(known, given.data, given.schema)
            if why is not None:
                warn(f"warm_start: trained anew, since {why}")
                known = None
        if known is None:
            known = trained(given.data, names, settings, seed, given.schema)
        self._remember(given, known, seed)

    def _remember(self, given: Labelled, synthesizer: GAN | None, seed: int | None = None) -> None:
        """Take what `sample` and the attributes need; the data itself is not kept."""
        self._seed = drawn_seed(self.random_state) if seed is None else seed
        self._form, self._labels = given.form, given.labels
        self.synthesizer_ = synthesizer
        self.classes_ = given.labels.classes
        if given.schema is None:
            self.__dict__.pop("schema_", None)
        else:
            self.schema_ = given.schema

    def _count_features(self, given: Labelled) -> None:
        """n_features_in_, and feature_names_in_ where X has names."""
        x = columns_in(given)
        if x is not None:
            validate_data(self, X=x, reset=True, skip_check_array=True)
        elif isinstance(given.form, ImageForm):
            self.n_features_in_ = math.prod(given.form.shape)
            self.__dict__.pop("feature_names_in_", None)

    def _describe(self, added: dict[Label, int], result: Resampled | None) -> None:
        self.sampling_strategy_ = added if result is None else dict(result.added)
        if result is None:
            for name in ("origin_", "synthetic_mask_", "n_generated_", "refused_"):
                self.__dict__.pop(name, None)
            return
        self.origin_, self.synthetic_mask_ = result.origin, result.synthetic
        self.n_generated_, self.refused_ = int(result.synthetic.sum()), dict(result.refused)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.string = True
        tags.input_tags.allow_nan = True
        return tags
