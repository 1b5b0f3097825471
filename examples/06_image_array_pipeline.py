"""Images in an array, in a pipeline: flattened for the classifier, pictures to the generator.

    python examples/06_image_array_pipeline.py OUT [STEPS]

Drawn: the twenty real 8s of the training rows, and under them forty generated ones.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sheet import save_sheet
from sklearn.datasets import load_digits
from sklearn.metrics import recall_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from gan_augment import FitOptions, GANAugmenter, ImageGAN, make_pipeline


def digits() -> list[NDArray[np.generic]]:
    """Scanned digits as rows of 64 pixels in 0..1, a half to test; 20 of the 8s in training."""
    X, y = load_digits(return_X_y=True)
    train, test, y_train, y_test = train_test_split(X / 16, y, test_size=0.5, random_state=0)
    kept = (y_train != 8) | (np.cumsum(y_train == 8) <= 20)
    return [train[kept], test, y_train[kept], y_test]


def main(out: Path, steps: int = 60) -> None:
    """Fit with and without generated rows; save the model, and draw from it again."""
    train, test, y_train, y_test = digits()
    augmenter = GANAugmenter(
        sampling_strategy="rare",
        image_shape=(8, 8),
        steps=steps,
        options=FitOptions(selection=False),  # so few steps make nothing that it would keep
        random_state=0,
        n_jobs=1,
    )
    # The scaler goes behind the augmenter, which expects pixels in 0..1 or 0..255.
    topped_up = make_pipeline(augmenter, StandardScaler(), SVC()).fit(train, y_train)
    plain = make_pipeline(StandardScaler(), SVC()).fit(train, y_train)
    print("classes topped up:", augmenter.sampling_strategy_)
    for origin, n in zip(*np.unique(augmenter.origin_, return_counts=True), strict=True):
        print(f"  {n} rows are {origin}")
    for name, model in (("as it is", plain), ("topped up", topped_up)):
        recalls = recall_score(y_test, model.predict(test), average=None)
        print(f"{name}: recall of the 8s {recalls[8]:.3f}, mean of all {recalls.mean():.3f}")

    drawn = augmenter.generator_.sample({"8": 40}).pixels
    print("drawn:", drawn.shape, drawn.dtype)
    real = np.rint(255 * train[y_train == 8]).astype(np.uint8).reshape(-1, 8, 8, 1)
    rows = np.concatenate([real, drawn])
    save_sheet(out / "eights.png", rows.reshape(3, 20, 8, 8), scale=5)
    augmenter.generator_.save(out / "model")
    both = (augmenter.generator_, ImageGAN.load(out / "model"))
    fitted, loaded = (gan.sample({"8": 40}, random_state=0).pixels for gan in both)
    print("the saved model draws the same pictures:", np.array_equal(fitted, loaded))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
