"""What the library writes for fixed inputs is what it wrote before: see build_goldens.py."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.goldens.build_goldens import FACTS, build, differences


@pytest.mark.slow
def test_models_samples_top_ups_results_and_public_names_are_as_frozen(
    tmp_path: Path, full_scorers
) -> None:
    facts, _ = build(tmp_path / "out")
    frozen = json.loads(FACTS.read_text(encoding="utf-8"))
    assert differences(frozen, json.loads(json.dumps(facts))) == []
