"""`GANAugmenter`: the library as an imbalanced-learn sampler."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Self, cast

import numpy as np
from imblearn.over_sampling.base import BaseOverSampler
from joblib.parallel import get_active_backend
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state
from sklearn.utils.validation import validate_data

from gan_augment.data.topup_plan import plan_topup
from gan_augment.errors import DivergedError, NotFittedError, UsageError, warn
from gan_augment.generators.generator import RunContext, checked_seed
from gan_augment.generators.topup import added_rows, advised_share
from gan_augment.kinds.kind import Labelled
from gan_augment.options import FitOptions, TopUp
from gan_augment.processes import available_cores
from gan_augment.progress import StderrProgress
from gan_augment.recipes import Recipe
from gan_augment.rng import derived_seed
from gan_augment.sklearn_api.inputs import (
    Label,
    OutputFormat,
    ParsedInput,
    read_input,
    read_labelled,
)
from gan_augment.sklearn_api.sampling_strategy import rows_to_add
from gan_augment.training.callbacks import Callback

if TYPE_CHECKING:
    from gan_augment.generators.image_gan import ImageGAN
    from gan_augment.generators.tabular_gan import TabularGAN

    GAN = ImageGAN | TabularGAN

MOST_SEED = 2**31 - 1
_SHARED_SETTINGS = ("recipe", "steps", "budget_s", "device", "threads")  # of options and GANs


class GANAugmenter(BaseOverSampler):  # type: ignore[misc]
    """Top up rare classes with GAN samples, as a step of an imbalanced-learn pipeline.

    Real rows come first and in order, as they were given; behind them repeats of real rows and
    generated ones, class by class. Images are arrays of pixels, everything else is a table, unless
    `kind` says that it is signals.

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
        How to train: "auto", "anchored", "free", the path of a .toml file, or a `Recipe`. "auto"
        of a table trains nothing unless steps or a budget are given ("gaussian").
    steps : int or None, default=None
        Training steps. None is the recipe's own number, never a time.
    budget : float, str or None, default=None
        A time instead: seconds, or a text such as "90s", "10m", "1h30m". `steps` wins if both.
    image_shape : tuple (H, W) or (H, W, C), default=None
        Of images that come flattened, (N, H x W x C). Not needed for (N, H, W) and (N, H, W, C).
    kind : {"auto", "signal"}, default="auto"
        "signal" reads X as signals (N, channels, length), or (N, length) of one channel.
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
    callbacks : sequence of Callback or None, default=None
        Told every event of training. `clone` copies them, and so does a pipeline with memory.
    verbose : int, default=0
        1 writes what happens to stderr. Warnings come by `warnings.warn` in any case.

    Attributes
    ----------
    generator_ : ImageGAN, TabularGAN or None
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
        Of a table: what every column was taken for, where a model was trained.
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

    generator_: GAN | None
    _output: OutputFormat
    _seed: int

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
        kind: Literal["auto", "signal"] = "auto",
        categorical_features: ArrayLike | str | None = "infer",
        selection: str | bool | None = "auto",
        device: str = "auto",
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
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
        self.kind = kind
        self.categorical_features = categorical_features
        self.selection = selection
        self.device = device
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.callbacks = callbacks
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None) -> Self:
        """Train without resampling, on every class; `sample` then draws from the model.

        Parameters
        ----------
        X : array, frame or sparse matrix as of `fit_resample`; or a `Labelled` or
            `Labelled`, a map-style torch Dataset or a DataLoader, which bring their labels.
        y : the labels, (N,); None where X brings them.

        Returns
        -------
        self
        """
        options, _ = checked_parameters(self.get_params(deep=False))  # before X is read
        parsed = read_labelled(X, y, kind=self.kind) or self._read(X, y)
        self._count_features(parsed)
        added: dict[str, int] = {}
        present = [name for name, n in parsed.data.counts.items() if n]
        if len(present) > 1:  # labelled data may hold one class
            added = rows_to_add(self.sampling_strategy, parsed.labels, parsed.data.labels)
        self._train(parsed, [name for name, n in added.items() if n] or present, options)
        self.sampling_strategy_ = {parsed.labels.label_of(name): n for name, n in added.items()}
        for name in ("origin_", "synthetic_mask_", "n_generated_", "refused_"):
            self.__dict__.pop(name, None)  # they are of a result, and there is none
        return self

    def fit_resample(self, X: Any, y: Any) -> tuple[Any, Any]:
        """Train on X and y, and give them back with the rows that their classes lack.

        Parameters
        ----------
        X : images, (N, H, W) or (N, H, W, C), or flattened (N, H x W x C) with `image_shape`;
            uint8, bool, or numbers in 0..1 or 0..255. With kind="signal" signals, (N, C, L) or (N,
            L), any numbers. Or a table (N, columns): an array, a list of
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
        options, top_up = checked_parameters(self.get_params(deep=False))
        parsed = self._read(X, y)
        self._count_features(parsed)
        labels, data = parsed.output.labels, cast(Any, parsed.data)
        lacking = rows_to_add(self.sampling_strategy, labels, data.labels)
        planned = partial(
            plan_topup,
            kind=parsed.kind,
            counts=data.counts,
            top_up=top_up,
            classes={name: n for name, n in lacking.items() if n},
        )
        plan = planned()
        generates = bool(plan.generated)
        if generates:
            self._train(parsed, [name for name, n in lacking.items() if n], options)
            advised = advised_share(self.generator_, top_up.synthetic_share)
            plan = planned(advised=advised)
        else:
            self._remember(parsed, None, draw_seed(self.random_state))
        seed = derived_seed(self._seed, "fit_resample")  # `sample` is to draw other rows
        if generates or parsed.may_hold_ids:  # ids of repeated rows are numbered on
            added = added_rows(data, plan, self.generator_, seed, schema=parsed.schema)
            plan, layout = added.plan, added.layout
            result = parsed.followed_by(layout, added.data)
        else:
            if plan.refused:
                plan.warn_of_refused()
            layout = plan.layout(data.labels, seed)
            result = parsed.followed_by(layout)
        label_of = dict(zip(labels.names, labels.labels, strict=True))
        self.sampling_strategy_ = {label_of[name]: plan.classes[name].added for name in lacking}
        self.origin_ = np.concatenate([np.full(len(data.labels), "real", "U9"), layout.origin])
        self.synthetic_mask_ = np.isin(self.origin_, ("synthetic", "companion"))
        self.n_generated_ = int(self.synthetic_mask_.sum())
        self.refused_ = {label_of[name]: why for name, why in plan.refused.items()}
        return result

    def _fit_resample(self, X: Any, y: Any) -> tuple[Any, Any]:
        return self.fit_resample(X, y)

    def sample(
        self, counts: Mapping[Label, int], random_state: int | None = None
    ) -> tuple[Any, Any]:
        """Draw exactly `counts` = {label: n} new rows from the fitted model, in that order.

        random_state: an int of 0 or more; None is the one of the fit, so that the first rows are
        the same however often and however many are asked for.

        Returns (X, y) in the containers that were fitted on. Raises NotFittedError, UsageError (a
        negative count, or no counts by label), UnknownClassError.
        """
        model = self._model()
        if not isinstance(counts, Mapping):
            raise UsageError(f"sample({counts!r}); expected counts by label, {{label: n}}")
        labels = self._output.labels
        names = {labels.name_of(label): n for label, n in counts.items()}
        seed = self._seed if random_state is None else checked_seed(random_state)
        samples = model.sample(names, random_state=seed)
        codes = np.array([labels.names.index(samples.names[i]) for i in samples.labels], dtype=int)
        return self._output.rows(samples), labels.take(codes)

    def _read(self, X: Any, y: Any) -> ParsedInput:
        return read_input(
            X,
            y,
            image_shape=self.image_shape,
            categorical_features=self.categorical_features,
            kind=self.kind,
        )

    def _model(self) -> GAN:
        if not hasattr(self, "generator_"):
            raise NotFittedError("this GANAugmenter is not fitted; call fit(X, y) first")
        if self.generator_ is None:
            raise NotFittedError(
                "no generated row was to be added, so no model was trained; call fit(X, y), which "
                "trains in any case, or raise synthetic_share"
            )
        return self.generator_

    def _train(self, parsed: ParsedInput, names: Sequence[str], options: FitOptions) -> None:
        seed = draw_seed(self.random_state)
        self._remember(parsed, self._fit_gan(parsed, names, options, seed), seed)

    def _fit_gan(
        self, parsed: ParsedInput, names: Sequence[str], options: FitOptions, seed: int
    ) -> GAN:
        """Fit a GAN of the kind that suits the data, on every class; `names` are topped up.

        If training diverges the best generator before that is used, with a warning.
        """
        from gan_augment.generators.image_gan import ImageGAN
        from gan_augment.generators.tabular_gan import TabularGAN

        settings: dict[str, Any] = {
            **{name: getattr(options, name) for name in _SHARED_SETTINGS},
            "classes": tuple(names),
            "random_state": seed,
            "callbacks": checked_callbacks(self.callbacks),
        }
        progress = StderrProgress("GANAugmenter", verbose=bool(self.verbose))
        gan: GAN
        try:
            if not parsed.data.kind.tabular:
                _warn_if_long(parsed.data, options)
                gan = ImageGAN(**settings, selection=options.selection)
                gan.fit(parsed.data, RunContext(progress=progress))
            else:
                gan = TabularGAN(**settings)
                gan.fit(parsed.data, RunContext(progress=progress), schema=parsed.schema)
        except DivergedError as error:
            if not hasattr(gan, "classes_"):
                raise
            warn(f"{error} The best generator before that is used.")
        return gan

    def _remember(self, parsed: ParsedInput, synthesizer: GAN | None, seed: int) -> None:
        """Store what `sample` and the attributes need, but not the data."""
        self._seed, self._output = seed, parsed.output
        self.generator_ = synthesizer
        self.classes_ = np.unique(parsed.output.labels.values)
        self.__dict__.pop("schema_", None)
        if synthesizer is not None and parsed.schema is not None:
            self.schema_ = parsed.schema

    def _count_features(self, parsed: ParsedInput) -> None:
        """Set n_features_in_, and feature_names_in_ where X has names."""
        pixels, x = parsed.output.pixels, parsed.x
        if pixels is not None and (x is None or len(pixels.shape) > 1):
            self.n_features_in_ = math.prod(pixels.shape)
            self.__dict__.pop("feature_names_in_", None)
        else:
            columns: Any = parsed.data
            validate_data(
                self, X=columns.frame if x is None else x, reset=True, skip_check_array=True
            )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.string = True
        tags.input_tags.allow_nan = True
        return tags


def checked_parameters(params: Mapping[str, Any]) -> tuple[FitOptions, TopUp]:
    """Return how a `GANAugmenter` of these parameters trains, and tops up. Raises UsageError."""
    plain = {n: v.item() if isinstance(v, np.generic) else v for n, v in params.items()}
    selection, verbose = plain["selection"], plain["verbose"]
    if not isinstance(verbose, int) or verbose < 0:
        raise UsageError(f"verbose={verbose!r}; expected 0 (warnings alone) or 1 (notes too)")
    checked_callbacks(plain["callbacks"])
    if plain.get("kind", "auto") not in ("auto", "signal"):
        raise UsageError(
            f"kind={plain['kind']!r}; expected 'auto' (images and tables, told apart by their "
            "dimensions) or 'signal'"
        )
    if selection is None or isinstance(selection, str):
        selection = {"auto": True, "off": False, None: False}.get(selection, selection)
    values = {
        **{name: plain[name] for name in ("recipe", "steps", "device")},
        "budget_s": plain["budget"],
        "threads": threads(plain["n_jobs"]),
        "selection": selection,
    }
    options = FitOptions.checked(values, "GANAugmenter")
    names = ("synthetic_share", "companions")
    top_up = TopUp.checked({name: plain[name] for name in names}, "GANAugmenter")
    if options.steps is not None:
        options = options.model_copy(update={"budget_s": None})
    return options, top_up


def threads(n_jobs: Any) -> int | None:
    """Return the threads of n_jobs: None is automatic, -1 all cores, -2 all but one.

    Inside a joblib worker automatic is one thread: the workers share the cores already. Raises
    UsageError.
    """
    if n_jobs is None:
        return 1 if get_active_backend()[0].nesting_level else None
    if not isinstance(n_jobs, int | np.integer) or n_jobs == 0 or n_jobs is True:
        raise UsageError(f"n_jobs={n_jobs!r}; expected None, a number of threads, or -1 for all")
    return int(n_jobs) if n_jobs > 0 else max(1, available_cores() + 1 + int(n_jobs))


def draw_seed(random_state: Any) -> int:
    """Draw a seed from None, an int or a RandomState, as scikit-learn does. Raises UsageError.

    >>> draw_seed(0) == draw_seed(0)
    True
    """
    try:
        return int(check_random_state(random_state).randint(MOST_SEED))
    except ValueError:
        raise UsageError(
            f"random_state={random_state!r}; expected None, an int of 0 or more, or a "
            "numpy.random.RandomState"
        ) from None


def checked_callbacks(callbacks: Any) -> tuple[Callback, ...]:
    """Return None, one callback or several as a tuple. Raises UsageError."""
    if callbacks is None:
        return ()
    listed = tuple(callbacks) if isinstance(callbacks, Sequence) else (callbacks,)
    for one in listed:
        if not hasattr(one, "on_event"):
            raise UsageError(
                f"callbacks holds {one!r}, which has no method on_event(event); see "
                "gan_augment.training.callbacks.Callback"
            )
    return listed


def _warn_if_long(data: Labelled, options: FitOptions) -> None:
    """Warn of large images on a processor, where nothing says how long it may take."""
    from gan_augment.data.images.resize import LONGEST_SIDE_PX

    length_given = options.steps is not None or options.budget_s is not None
    height, width, _ = data.image_shape
    if length_given or height == 1 or max(height, width) <= LONGEST_SIDE_PX:
        return
    from gan_augment.machine import compute_config

    if compute_config(options.device).device.type == "cpu":
        warn(
            f"images of {height} x {width} px take long to train on without a GPU; make them "
            f"smaller (at most {LONGEST_SIDE_PX} px a side), or give steps or a budget, such as "
            "budget='10m'"
        )
