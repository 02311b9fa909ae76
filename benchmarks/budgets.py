"""What a limit gives: reached cost and accuracy of whole runs within budgets. One JSON line a run.

    python benchmarks/budgets.py --data ECG5000.npz WISDM.npz --measure params --limits 300 450 600
    python benchmarks/budgets.py --data WISDM.npz --modes --seeds 0 1 2
    python benchmarks/budgets.py --data ECG5000.npz --limits 300 --set search.penalties.budget.weight=0

``share`` is the reached cost over the limit, ``free_share`` that of the choice that the alphas would make without a
limit, and ``lost`` how much log op-weight the projection gave up for it. With ``--modes`` there are no limits, and
the two optimization modes run in turn. Runs go through the same function as the command line, one thread each.
"""

import argparse
import contextlib
import io
import json
import logging
import multiprocessing
import os
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

from nas_lightning.config.compose import compose_config
from nas_lightning.files import read_json
from nas_lightning.runs import pipeline
from nas_lightning.search.module import SearchModule
from nas_lightning.space.base import Projected
from nas_lightning.space.cells.genotype import Genotype

Case = tuple[str, list[str], dict[str, Any]]


def run_case(case: Case) -> dict[str, Any]:
    """One run in a temporary folder; the row without what names the case."""
    data, overrides, row = case
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    projections: list[Projected[Genotype]] = []  # of each epoch, and of the end
    found_by = SearchModule.found

    def keep(module: SearchModule) -> Projected[Genotype]:
        projections.append(found_by(module))
        return projections[-1]

    SearchModule.found = keep  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "run"
        settings = [f"dataset.input_data_path={data}", "callbacks=none", "logger=none", *overrides]
        with contextlib.redirect_stdout(io.StringIO()):  # the summary of the run
            pipeline.run(compose_config(settings), target)
        metrics, cost = read_json(target / "metrics.json"), read_json(target / "cost.json")
    found = projections[-1]
    row |= {measure: cost[measure] for measure in ("params", "macs", "flash_bytes", "ram_bytes")}
    if "limit" in row:
        row["share"] = round(cost[row["measure"]] / row["limit"], 3)
        row["free_share"] = round(found.free_cost[row["measure"]] / row["limit"], 3)
        row["lost"] = round(found.free_log_weight - found.log_weight, 3)
    for split in ("val", "test"):
        if split in metrics:
            row[f"{split}_accuracy"] = round(metrics[split]["accuracy"], 4)
    return row | {"search_seconds": round(metrics["search"]["seconds"], 1)}


def main() -> None:
    """Print one JSON line per run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", required=True)
    parser.add_argument("--size", default="s")
    parser.add_argument("--measure", default="params", choices=("params", "macs", "flash_bytes", "ram_bytes"))
    parser.add_argument("--limits", nargs="*", type=int, default=[])
    parser.add_argument("--modes", action="store_true")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--set", nargs="*", default=[], help="settings, for example training.nas_epochs=5")
    arguments = parser.parse_args()
    cases: list[Case] = []
    for data in arguments.data:
        for seed in arguments.seeds:
            row = {"data": Path(data).stem, "size": arguments.size, "seed": seed}
            base = [f"nas_model_size={arguments.size}", f"seed={seed}", *arguments.set]
            path = str(Path(data).absolute())
            for mode in ("Memory", "Compute") if arguments.modes else ():
                cases.append((path, [*base, f"training.nas_optimization_mode={mode}"], row | {"mode": mode}))
            for limit in arguments.limits:
                limited = row | {"measure": arguments.measure, "limit": limit}
                cases.append((path, [*base, f"budget.{arguments.measure}={limit}"], limited))
    with multiprocessing.get_context("spawn").Pool(arguments.processes) as pool:
        for row in pool.imap(run_case, cases):
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
