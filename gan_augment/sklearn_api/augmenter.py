"""`GANAugmenter`: the library as an imbalanced-learn sampler."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from imblearn.over_sampling.base import BaseOverSampler
from joblib import effective_n_jobs
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state
from sklearn.utils.validation import validate_data

from gan_augment.data.topup_plan import plan_topup
from gan_augment.errors import DivergedError, UsageError, warn
from gan_augment.evaluation.options import Arm
from gan_augment.generators.baselines import Repeats, Smote, fit_baseline
from gan_augment.generators.generator import RunContext, advised_share
from gan_augment.kinds.signal import SIGNAL
from gan_augment.options import FitOptions, TopUp
from gan_augment.progress import LogProgress, shown_progress
from gan_augment.recipes import Recipe
from gan_augment.rng import derived_seed
from gan_augment.sklearn_api.inputs import Label, ParsedInput, read_input, read_labelled
from gan_augment.sklearn_api.sampling_strategy import rows_to_add

if TYPE_CHECKING:
    from gan_augment.generators.image_gan import ImageGAN
    from gan_augment.generators.tabular_gan import TabularGAN

SOURCES = ("repeats", "smote", "gan")
_KINDS = ("auto", SIGNAL.name)
_SHARED = ("recipe", "steps", "budget", "device", "precision", "threads")


class GANAugmenter(BaseOverSampler):  # type: ignore[misc]
    """Top up rare classes with GAN samples, as a step of an imbalanced-learn pipeline.

    Use a top-up for a classifier whose decision cannot be changed, such as a deployed `predict`.
    Otherwise correct the decision with `PriorCorrectedClassifier`, which needs no new rows.

    Real rows come first, unchanged and in order; then, class by class, repeats of real rows and
    generated rows. Arrays of pixels are images, and other data are tables; `kind="signal"` reads
    arrays as signals.

    Parameters
    ----------
    sampling_strategy : float, int, str, dict, list or callable, default="auto"
        Which classes are topped up and how far. As in imbalanced-learn: a float (two classes),
        "auto" or "not majority", "minority", "not minority", "all", {label: rows at the end}, or a
        callable of y that returns such a dict. "rare" (n_c < N / (2 K) rows) or a list of labels:
        these classes get as many rows as the largest. "majority", "median" or a count: every
        smaller class ends with that many rows.
    source : {"gan", "repeats", "smote"}, default="gan"
        Where added rows come from. "repeats" and "smote" train nothing, and take the whole top-up
        from the baseline; they are the arms `oversample` and `smote` of an evaluation.
    synthetic_share : float in [0, 1] or "auto", default="auto"
        The generated share of the rows that "gan" adds; the rest repeats real rows. "auto" is 0.5.
        Nothing is trained if nothing is generated.
    companions : bool or "auto", default="auto"
        Whether other classes get generated rows too, up to the rows of topped-up classes. "auto" is
        True for images and False for tables.
    recipe : str or Recipe, default="auto"
        How to train: "auto", a name, the path of a .toml file, or a `Recipe`. For tables "auto"
        trains nothing ("gaussian") unless steps or a budget are given.
    steps : int or None, default=None
        Training steps. None takes the recipe's number.
    budget : float, str or None, default=None
        Training time: seconds, or a text such as "90s", "10m", "1h30m". `steps` wins.
    image_shape : tuple (H, W) or (H, W, C), default=None
        Shape of images that come flattened, (N, H x W x C).
    kind : {"auto", "signal"}, default="auto"
        "signal" reads X as signals (N, channels, length), or (N, length) of one channel.
    categorical_features : "infer", list or mask, default="infer"
        Columns of a table that are categorical, by name, number or mask. The others are inferred.
    options : FitOptions or None, default=None
        Rare settings of the fit: `device`, `precision` and `selection`.
    n_jobs : int or None, default=None
        Threads, -1 for all cores. None decides, and takes one thread inside a joblib worker.
    random_state : int, RandomState or None, default=None
        Drawn from once per fit. With an int the same data give the same rows, byte for byte.
    verbose : bool, default=False
        Show a progress bar; otherwise progress is logged.

    Attributes
    ----------
    generator_ : ImageGAN, TabularGAN, Repeats, Smote or None
        The fitted model; None if no generated row was requested. `generator_.save(path)` saves a
        GAN; of a table, `generator_.schema_` holds the columns as learned.
    sampling_strategy_ : dict
        {label: rows to add}, without companions.
    origin_ : ndarray of str, (N,)
        Origin of each row of the result: "real", "repeat", "synthetic" or "companion".
    synthetic_mask_ : ndarray of bool, (N,)
        Which rows of the result are generated.
    refused_ : dict
        {label: reason} of classes filled with repeats, such as classes of one row.
    classes_ : ndarray (K,)
        The labels, in y's dtype.
    n_features_in_ : int
        Columns of a table; numbers of an image.
    feature_names_in_ : ndarray of str
        Names of the columns, if all are text.

    Raises
    ------
    DataError, UsageError
        (ValueErrors) For X and y, or for parameters, that cannot be used.

    Notes
    -----
    scikit-learn's own `Pipeline` refuses steps that change the number of rows (SLEP005). Use
    `gan_augment.make_pipeline`, which is imbalanced-learn's, or `AugmentedClassifier` as the last
    step. An anchored model contains encoded training rows; share it as you would share the data.

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
    >>> augmenter.sampling_strategy_, int(augmenter.synthetic_mask_.sum())
    ({1: 38}, 19)
    """

    generator_: ImageGAN | TabularGAN | Repeats | Smote | None

    def __init__(
        self,
        *,
        sampling_strategy: float
        | str
        | Mapping[Label, int]
        | Sequence[Label]
        | Callable[[NDArray[Any]], Mapping[Label, int]] = "auto",
        source: Literal["gan", "repeats", "smote"] = "gan",
        synthetic_share: float | Literal["auto"] = "auto",
        companions: bool | Literal["auto"] = "auto",
        recipe: str | Recipe = "auto",
        steps: int | None = None,
        budget: float | str | None = None,
        image_shape: tuple[int, ...] | None = None,
        kind: Literal["auto", "signal"] = "auto",
        categorical_features: ArrayLike | str | None = "infer",
        options: FitOptions | None = None,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: bool = False,
    ) -> None:
        super().__init__(sampling_strategy=sampling_strategy)
        self.source = source
        self.synthetic_share = synthetic_share
        self.companions = companions
        self.recipe = recipe
        self.steps = steps
        self.budget = budget
        self.image_shape = image_shape
        self.kind = kind
        self.categorical_features = categorical_features
        self.options = options
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None) -> Self:
        """Train on every class without resampling; draw with `generator_.sample({class: n})`.

        Parameters
        ----------
        X : array, frame or sparse matrix
            As of `fit_resample`; or `Labelled` data, a map-style torch Dataset or a DataLoader,
            which hold their labels.
        y : (N,) labels
            None if X holds them.

        Returns
        -------
        self
            The fitted augmenter.
        """
        options, _ = checked_options(self)  # before X is read
        parsed = read_labelled(X, y, kind=self.kind) or read_input(X, y, self)
        added: dict[str, int] = {}
        present = [name for name, n in parsed.data.counts.items() if n]
        if len(present) > 1:  # labelled data may hold one class
            added = rows_to_add(self.sampling_strategy, parsed.labels, parsed.data.labels)
        classes = [name for name, n in added.items() if n] or present
        self._describe(parsed)
        self.generator_ = self._trained(parsed, classes, options, draw_seed(self.random_state))
        self.sampling_strategy_ = {parsed.labels.by_name[name]: n for name, n in added.items()}
        for name in ("origin_", "synthetic_mask_", "refused_"):
            self.__dict__.pop(name, None)  # attributes of an earlier result
        return self

    def fit_resample(self, X: Any, y: Any) -> tuple[Any, Any]:
        """Train on X and y, and return them with the added rows.

        A class of one row is filled with repeats of it, and a warning names the class.

        Parameters
        ----------
        X : images, signals or a table
            Images: (N, H, W) or (N, H, W, C), or flattened with `image_shape`; uint8, bool, or
            numbers in 0..1 or 0..255. Signals: (N, C, L) or (N, L). A table (N, columns): an array,
            a list of rows, a pandas or polars frame, an Arrow table, or a sparse matrix (made dense
            up to 256 MiB); missing cells, texts, categories and dates are allowed.
        y : (N,) labels
            Text, integers or booleans, in a list, array, series or frame of one column; or a
            one-hot array (N, K).

        Returns
        -------
        X_resampled, y_resampled
            Real rows first and in order. A table and y in their containers and dtypes, a frame with
            a default index; images and signals as arrays in the shape, dtype and scale of X.
        """
        options, top_up = checked_options(self)
        parsed = read_input(X, y, self)
        self._describe(parsed)
        labels, data, seed = parsed.labels, parsed.data, draw_seed(self.random_state)
        lacking = rows_to_add(self.sampling_strategy, labels, data.labels)
        classes = {name: n for name, n in lacking.items() if n}
        plan = plan_topup(data.counts, top_up, classes, data.kind.recipes)
        self.generator_ = None
        if plan.generated:
            self.generator_ = self._trained(parsed, list(classes), options, seed)
            advised = advised_share(self.generator_, top_up.synthetic_share)
            plan = plan_topup(data.counts, top_up, classes, data.kind.recipes, advised)
        drawn = derived_seed(seed, "fit_resample")  # other rows than `generator_.sample`
        result, plan, self.origin_ = parsed.topped_up(plan, self.generator_, drawn)
        self.sampling_strategy_ = {labels.by_name[name]: plan[name].added for name in lacking}
        self.synthetic_mask_ = np.isin(self.origin_, ("synthetic", "companion"))
        self.refused_ = {labels.by_name[name]: why for name, why in plan.refused.items()}
        return result

    def _fit_resample(self, X: Any, y: Any) -> tuple[Any, Any]:
        return self.fit_resample(X, y)

    def _trained(
        self, parsed: ParsedInput, names: Sequence[str], options: FitOptions, seed: int
    ) -> ImageGAN | TabularGAN | Repeats | Smote:
        """Fit a generator for the kind of the data on every class; `names` are topped up.

        If training diverges the best generator before that is used, with a warning.
        """
        if self.source != "gan":
            return fit_baseline(self.source, parsed.data, parsed.schema)
        from gan_augment.generators.image_gan import ImageGAN
        from gan_augment.generators.tabular_gan import TabularGAN

        settings: dict[str, Any] = {name: getattr(options, name) for name in _SHARED}
        settings |= {"classes": tuple(names), "random_state": seed}
        shown = shown_progress if self.verbose else LogProgress
        context = RunContext(progress=shown("GANAugmenter"))
        gan: ImageGAN | TabularGAN
        if parsed.data.kind.tabular:
            gan = TabularGAN(**settings)
        else:
            gan = ImageGAN(**settings, selection=options.selection)
        try:
            gan.fit(parsed.data, run=context, schema=parsed.schema)
        except DivergedError as error:
            if not hasattr(gan, "classes_"):
                raise
            warn(f"{error} The best generator before that is used.")
        return gan

    def _describe(self, parsed: ParsedInput) -> None:
        """Set classes_, n_features_in_, and feature_names_in_ where X has names."""
        self.classes_ = np.unique(parsed.labels.values)
        rows = parsed.data.rows if parsed.x is None else parsed.x
        if isinstance(rows, np.ndarray) and rows.ndim > 2:
            self.n_features_in_ = math.prod(rows.shape[1:])
            self.__dict__.pop("feature_names_in_", None)
        else:
            validate_data(self, X=rows, reset=True, skip_check_array=True)

    def _html_repr(self) -> str:
        """Show scikit-learn's diagram, and rows of the fitted GAN under it."""
        shown = getattr(getattr(self, "generator_", None), "_repr_html_", str)
        return str(super()._html_repr()) + shown()

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.string = True
        tags.input_tags.allow_nan = True
        return tags


def checked_options(augmenter: GANAugmenter) -> tuple[FitOptions, TopUp]:
    """Return the options of the fit and of the top-up. Raises UsageError."""
    params = augmenter.get_params(deep=False)
    plain = {n: v.item() if isinstance(v, np.generic) else v for n, v in params.items()}
    kind, options = plain["kind"], plain["options"] or FitOptions()
    if kind not in _KINDS:
        raise UsageError(f"kind={kind!r}; expected 'auto' (images or a table) or 'signal'")
    if plain["source"] not in SOURCES:
        raise UsageError(f"source={plain['source']!r}; expected one of {', '.join(SOURCES)}")
    if not isinstance(options, FitOptions):
        raise UsageError(f"options={options!r}; expected FitOptions or None")
    values = {name: getattr(options, name) for name in options.model_fields_set}
    values |= {"recipe": plain["recipe"], "steps": plain["steps"], "budget": plain["budget"]}
    n_jobs = plain["n_jobs"]
    counted = isinstance(n_jobs, int) and n_jobs < 0  # from all cores
    values["threads"] = effective_n_jobs(n_jobs) if counted else n_jobs
    fit = FitOptions.checked(values, "GANAugmenter", {"threads": "n_jobs"})
    if fit.steps is not None:
        fit = fit.model_copy(update={"budget": None})
    shares = {name: plain[name] for name in ("synthetic_share", "companions")}
    return fit, Arm("", plain["source"]).top_up(TopUp.checked(shares, "GANAugmenter"))


def draw_seed(random_state: Any) -> int:
    """Draw a seed from None, an int or a RandomState, as scikit-learn does. Raises UsageError."""
    try:
        return int(check_random_state(random_state).randint(2**31 - 1))
    except ValueError as error:
        raise UsageError(f"random_state={random_state!r}: {error}") from None
