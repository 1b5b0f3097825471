"""The top-up of gan-augment against CTGAN's on six tables: quality and seconds, one seed.

    sh examples/benchmarks/ctgan/make_environment.sh FOLDER
    python examples/benchmarks/against_ctgan.py --data DIR --ctgan FOLDER/bin/python
        [--out examples/benchmarks/against_ctgan.json] [--tables a,b] [--epochs 300]

DIR holds index.json and its tables. Cells, learners and scores are those of `tables_protocol.py`.
CTGAN runs in its own environment with its own defaults, in two ways: a fit on each rare class alone
("minority"), and one fit on all rows whose samples are kept where they have the class asked for
("rejection"). It raises on missing numbers, so it is given their medians. Every fit has one thread,
and both sides are timed in this run, one after the other: `facts` holds the seconds of the fits,
without the start of CTGAN's process. A second run adds to the output what it lacks or raised;
--again a,b measures these arms anew.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import tables_figures as figures
import tables_protocol as protocol
from tables_ours import TARGET, ours

TABLES = ("adult", "german_credit", "hypothyroid", "mammography", "page_blocks", "phoneme")
WAYS = ("minority", "rejection")
TRIES = 50
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LOKY_MAX_CPU_COUNT"), "1"
)
SCRIPT = Path(__file__).with_name("ctgan") / "ctgan_fit.py"


def ctgan_rows(
    X: pd.DataFrame,
    y: np.ndarray,
    categorical: list[str],
    seed: int,
    *,
    way: str,
    python: Path,
    epochs: int,
) -> tuple[pd.DataFrame, np.ndarray]:
    """Rows to parity by CTGAN in its own environment; its facts lie in the frame's `attrs`."""
    frame = without_missing(X, categorical).assign(**{TARGET: y})
    with tempfile.TemporaryDirectory() as name:
        job = {
            "way": way,
            "target": TARGET,
            "discrete": [*categorical, TARGET],
            "counts": protocol.to_parity(y),
            "tries": TRIES,
            "epochs": epochs,
            "seed": seed,
        }
        rows, facts = run_ctgan(python, "rows", frame, job, Path(name))
    for column in categorical:
        rows[column] = rows[column].where(rows[column] != protocol.MISSING)
    labels = rows.pop(TARGET).to_numpy(dtype=object)
    rows = rows[list(X.columns)]
    rows.attrs = {k: round(v, 2) if isinstance(v, float) else v for k, v in facts.items()}
    return rows, labels


def without_missing(X: pd.DataFrame, categorical: list[str]) -> pd.DataFrame:
    """Medians for missing numbers, a level of its own for missing levels."""
    medians = {c: X[c].fillna(X[c].median()) for c in X.columns if c not in set(categorical)}
    return protocol.as_text(X.assign(**medians), categorical)


def run_ctgan(
    python: Path, mode: str, frame: pd.DataFrame, job: dict, folder: Path
) -> tuple[pd.DataFrame, dict]:
    """One job of `ctgan_fit.py`: (its rows, or an empty frame; its facts)."""
    paths = {part: str(folder / part) for part in ("frame", "rows", "facts")}
    text = dict.fromkeys(job["discrete"], object)
    frame.astype(text).to_parquet(paths["frame"])
    (folder / "job.json").write_text(json.dumps(job | paths), encoding="utf-8")
    command = [str(python), str(SCRIPT), mode, str(folder / "job.json")]
    alone = os.environ | ONE_THREAD
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=alone)
    if done.returncode:
        raise RuntimeError(f"CTGAN: {(done.stderr.strip() or '?').splitlines()[-1]}")
    facts = json.loads((folder / "facts").read_text(encoding="utf-8"))
    return (pd.read_parquet(paths["rows"]) if mode == "rows" else pd.DataFrame()), facts


def measured(asked: argparse.Namespace, name: str, held: set[str]) -> Iterator[dict]:
    """Records of one table, less the arms held: repeats and SMOTE for the scale, ours, CTGAN."""
    X, y, info = protocol.load(asked.data, name)
    halves = protocol.split(X, y, asked.seed)
    makers = {"repeats": None, "smote": None, "ours": ours} | {
        f"ctgan {way}": partial(ctgan_rows, way=way, python=asked.ctgan, epochs=asked.epochs)
        for way in WAYS
    }
    for arm, maker in makers.items():
        if arm in held:
            continue
        found = protocol.run_arm(arm, *halves, info, asked.seed, maker=maker)
        print(name, arm, found.get("error") or found.get("facts"), flush=True)
        yield {"table": name, "seed": asked.seed, "arm": arm} | found


def summary(records: list[dict]) -> dict:
    """Ranks of ours and CTGAN, differences, seconds, and what was drawn for rejection."""
    arms = ["ours", *(f"ctgan {way}" for way in WAYS)]
    return {
        "mean rank": {m: figures.mean_ranks(records, m, arms) for m in protocol.METRICS},
        "ours minus": {
            arm: {m: figures.difference(records, m, "ours", arm) for m in protocol.METRICS}
            for arm in [*arms[1:], "smote", "repeats"]
        },
        "ctgan minus repeats": {
            arm: {m: figures.difference(records, m, arm, "repeats") for m in protocol.METRICS}
            for arm in arms[1:]
        },
        "seconds to make the rows": figures.seconds(records),
        "errors": figures.errors(records),
        "facts": {f"{r['table']}, {r['arm']}": r["facts"] for r in records if r.get("facts")},
    }


def kept(asked: argparse.Namespace, settings: dict) -> list[dict]:
    """Records of the output that were made with the same settings and did not raise."""
    if not (asked.out and asked.out.exists()):
        return []
    held = json.loads(asked.out.read_text(encoding="utf-8"))
    if any(held[key] != settings[key] for key in ("epochs", "seed", "tries a row")):
        raise SystemExit(f"{asked.out.name} was made with other settings: name another --out")
    return [r for r in held["records"] if "error" not in r and r["arm"] not in asked.again]


def main() -> None:
    """Measure what the output lacks, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--ctgan", type=Path, required=True, help="its environment's python")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--tables", type=lambda text: text.split(","), default=list(TABLES))
    parser.add_argument("--again", type=lambda text: text.split(","), default=[])
    parser.add_argument("--epochs", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    result = {"epochs": asked.epochs, "seed": asked.seed, "tries a row": TRIES, "records": []}
    result["records"] = kept(asked, result)
    for name in asked.tables:
        held = {r["arm"] for r in result["records"] if r["table"] == name}
        result["records"] += measured(asked, name, held)
        result["figures"] = summary(result["records"])
        if asked.out:
            asked.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result["figures"], indent=1))


if __name__ == "__main__":
    main()
