"""How long the jobs of a user take, from the command to its end: one JSON line for each, medians of several.

    python benchmarks/default_job.py --data FOLDER
    python benchmarks/default_job.py --data FOLDER --jobs demo forda --repeats 1 --set run.workers=1

FOLDER has WISDM.npz, FordA.npz and ECG5000.npz. Jobs, all with the defaults of the program:

- ``demo``: size s on BasicMotions;
- ``har``: size m on 7,352 samples of 9 channels and 128 steps, made of those of WISDM;
- ``wisdm``, ``forda``: size m;
- ``target``: size m on ECG5000 with ``target_accuracy`` and its six rounds.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

JOBS = {
    "demo": ["nas_model_size=s"],
    "har": ["nas_model_size=m", "dataset.input_data_path={folder}/har.npz"],
    "wisdm": ["nas_model_size=m", "dataset.input_data_path={data}/WISDM.npz"],
    "forda": ["nas_model_size=m", "dataset.input_data_path={data}/FordA.npz"],
    "target": ["nas_model_size=m", "dataset.input_data_path={data}/ECG5000.npz", "target_accuracy=0.9"],
}


def make_har(wisdm: Path, target: Path) -> None:
    """7,352 samples of nine channels: those of WISDM, three times one behind the other with an offset."""
    with np.load(wisdm) as file:
        x, y = (np.concatenate([file[f"{name}_train"], file[f"{name}_test"]]) for name in "Xy")
        test = file["X_test"], file["y_test"]
    order = np.arange(7352) % len(x)
    x_train, x_test = (np.concatenate([part, part[:, ::-1], 2 * part], axis=1) for part in (x[order], test[0]))
    np.savez(target, X_train=x_train, y_train=y[order], X_test=x_test, y_test=test[1])


def run_job(name: str, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Seconds of one job and of its parts."""
    words = [word.format(folder=folder, data=options.data.absolute()) for word in JOBS[name]]
    with tempfile.TemporaryDirectory() as place:
        command = [sys.executable, "-m", "nas_lightning", *words, "hydra.run.dir=run", *options.set]
        start = time.perf_counter()
        done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - start
        if done.returncode:
            raise SystemExit(done.stderr)
        metrics = json.loads((Path(place) / "run/metrics.json").read_text())
        rounds = len(list((Path(place) / "run").glob("rounds/*")))
    parts = {part: round(metrics[part]["seconds"], 1) for part in ("search", "control", "training") if part in metrics}
    return {"seconds": round(seconds, 1), "parts": parts, "rounds": rounds, "test": metrics["test"]["accuracy"]}


def main() -> None:
    """Run the jobs in turn."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="a folder of .npz files")
    parser.add_argument("--jobs", nargs="+", choices=JOBS, default=list(JOBS))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--set", nargs="*", default=[], help="settings for all jobs, for example run.workers=1")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        make_har(options.data / "WISDM.npz", Path(name) / "har.npz")
        found: dict[str, list[dict[str, Any]]] = {job: [] for job in options.jobs}
        for _ in range(options.repeats):
            for job in options.jobs:
                found[job].append(run_job(job, options, Path(name)))
    for job, rows in found.items():
        seconds = [row["seconds"] for row in rows]
        row = {"job": job, "median": statistics.median(seconds), "seconds": seconds, "settings": options.set}
        print(json.dumps({**rows[0], **row, "cores": os.cpu_count()}), flush=True)


if __name__ == "__main__":
    main()
