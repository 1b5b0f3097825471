"""What `gan_augment.metrics` offers, and what importing it costs."""

import subprocess
import sys

from gan_augment import metrics


def test_every_public_name_is_callable_even_where_its_file_has_the_same_name() -> None:
    for name in metrics.__all__:
        assert callable(getattr(metrics, name)), name
        assert getattr(metrics, name).__doc__, name


def test_importing_the_metrics_loads_numpy_and_nothing_heavier() -> None:
    code = "import sys, gan_augment.metrics as m, gan_augment.metrics.diagnose; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    heavy = {"scipy", "sklearn", "torch", "pandas", "torch_fidelity", "matplotlib"}
    assert heavy.isdisjoint(loaded.stdout.split())
