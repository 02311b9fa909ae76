"""Whole jobs as a user starts them: how good, how large and how long. One JSON line for each set, side and seed.

    python benchmarks/jobs.py --data FOLDER --rows docs/quality/jobs.jsonl --sides outlines drawn cells --seeds 1
    python benchmarks/jobs.py --rows docs/quality/jobs.jsonl --report outlines cells

A job is the program itself on ``FOLDER/NAME.npz``, with its own workers, from the reading of the data to ONNX and int8.
Sides are settings of the program within 10,000 parameters (``SIDES``). Jobs run one after the other: a row has seconds.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from readouts import Row, known_rows, sets_in

SIDES = {
    "outlines": ["budget.params=10000"],
    "drawn": ["budget.params=10000", "nas_model_size=auto", "search.prior=false"],
    "third": ["budget.params=10000", "nas_model_size=auto", "search.prior=false"],  # and a limit on the arithmetic
    "cells": ["budget.params=10000", "nas_model_size=auto_cells"],
}
MACS_A_STEP = 3300  # a third of those of LITE
PLAIN = ["control.num_random=0", "logger=none", "callbacks=none"]


def job(path: Path, side: str, seed: int) -> Row:
    """One run of the program."""
    from numpy import load

    with load(path) as file:
        length = file["X_train"].shape[2]
    limits = [f"budget.macs={MACS_A_STEP * length}"] if side == "third" else []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "run"
        settings = [*SIDES[side], *limits, *PLAIN, f"seed={seed}", f"hydra.run.dir={folder}"]
        command = [sys.executable, "-m", "nas_lightning", f"dataset.input_data_path={path.absolute()}", *settings]
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        seconds = time.perf_counter() - start
        metrics, cost = (json.loads((folder / each).read_text()) for each in ("metrics.json", "cost.json"))
    row = {"set": path.stem, "side": side, "seed": seed, "seconds": round(seconds, 1)}
    row |= {split: metrics[split]["accuracy"] for split in ("val", "test", "test_int8")}
    return row | {"params": cost["params"], "macs": cost["macs"], "trainings": metrics["selection"]["trainings"]}


def report(rows: list[Row], sides: list[str]) -> None:
    """Of each side the means over sets; then the difference of the first two, its standard error and Wilcoxon's p."""
    found = defaultdict[str, dict[str, list[Row]]](lambda: defaultdict(list))
    for row in rows:
        found[row["side"]][row["set"]].append(row)
    common = sorted(set.intersection(*(set(found[side]) for side in sides)))
    for side in sides:
        means = {
            figure: statistics.mean(statistics.mean(row[figure] for row in found[side][name]) for name in common)
            for figure in ("val", "test", "test_int8", "params", "macs", "seconds")
        }
        print(f"{side:10s} {len(common)} sets", *(f"{figure} {value:.4g}" for figure, value in means.items()))
    if len(sides) > 1:
        _compare(
            *([statistics.mean(row["test"] for row in found[side][name]) for name in common] for side in sides[:2])
        )


def _compare(first: list[float], second: list[float]) -> None:
    from scipy import stats

    more = [100 * (one - other) for one, other in zip(first, second, strict=True)]
    error = statistics.stdev(more) / len(more) ** 0.5
    outcome: Any = stats.wilcoxon(more)
    print(f"{statistics.mean(more):+.2f} +- {error:.2f} points, Wilcoxon p {outcome.pvalue:.3f}")


def main() -> None:
    """Run what is missing, or report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, nargs="*", default=[], help="folders of .npz files, or such files")
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument("--sides", nargs="*", default=list(SIDES), choices=list(SIDES))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--report", nargs="*", choices=list(SIDES), help="sides")
    options = parser.parse_args()
    rows = known_rows(options.rows)
    if options.report is not None:
        report(rows, options.report)
        return
    known = {(row["set"], row["side"], row["seed"]) for row in rows}
    for seed in range(options.seeds):
        for path in sets_in(options.data):
            for side in options.sides:  # interleaved, so that what else the machine does meets all of them
                if (path.stem, side, seed) not in known:
                    with options.rows.open("a") as file:
                        file.write(json.dumps(job(path, side, seed)) + "\n")


if __name__ == "__main__":
    main()
