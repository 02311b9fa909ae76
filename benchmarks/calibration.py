"""What a temperature does to scores: one JSON line for each data set and seed, of a short run with a hand-made network.

    python benchmarks/calibration.py --data FOLDER --rows calibration.jsonl
    python benchmarks/calibration.py --rows calibration.jsonl --report

A row has accuracy, temperature, the calibration error on val and test before and after, and what ``reject.coverage``
leaves: the coverage and the accuracy of what is accepted on test. What is in the file is not run again.
"""

import argparse
import itertools
import json
import os
import tempfile
from pathlib import Path
from typing import Any

SETS = ("BasicMotions", "ECG5000", "ElectricDevices", "FordA", "ItalyPowerDemand", "WISDM")
COVERAGE = 0.95

Row = dict[str, Any]


def measure(path: Path, seed: int, steps: int) -> Row:
    """One run."""
    os.environ["OMP_NUM_THREADS"] = "1"
    from nas_lightning.config.compose import compose_config
    from nas_lightning.runs.modes import run

    settings = ("training.nas_enabled=false", "model=cnn_s", "selection.candidates=1", "control.num_random=0")
    settings += ("export.int8=false", "callbacks=none", "logger=none", "run.workers=1", "training.batch_size=64")
    settings += (f"dataset.input_data_path={path}", f"seed={seed}", f"training.training_steps={steps}")
    batch = ("training.batch_size=16",) if path.stat().st_size < 1 << 18 else ()  # the sets of some 50 samples
    with tempfile.TemporaryDirectory() as folder:
        config = compose_config([*settings, *batch, f"reject.coverage={COVERAGE}"])
        found = run(config, Path(folder) / "run").metrics
    assert found.confidence is not None
    assert found.confidence.rejection is not None
    errors, rejected = found.confidence.calibration_error, found.confidence.rejection["test"]
    return {
        "set": path.stem,
        "seed": seed,
        "steps": steps,
        "accuracy": found.figures("test")["accuracy"],
        "temperature": found.confidence.temperature,
        "bound": found.confidence.bound,
        **{f"{split}_{when}": getattr(errors[split], when) for split in errors for when in ("before", "after")},
        "coverage": rejected.coverage.value if rejected.coverage else None,
        "accepted_accuracy": rejected.accuracy.value if rejected.accuracy else None,
    }


def table(rows: list[Row]) -> str:
    """Markdown."""
    lines = [
        "| set, seed | accuracy | temperature | val before, after | test before, after | accepted | their accuracy |"
    ]
    lines += ["|---|---|---|---|---|---|---|"]
    for row in sorted(rows, key=lambda row: (row["set"], row["seed"])):
        val, test = (f"{row[f'{split}_before']:.3f}, {row[f'{split}_after']:.3f}" for split in ("val", "test"))
        temperature = f"{row['temperature']:.2f}{' (bound)' * (row['bound'] is not None)}"
        figures = (f"{row['accuracy']:.3f}", temperature, val, test, f"{row['coverage']:.3f}")
        lines.append(" | ".join([f"| {row['set']}, {row['seed']}", *figures, f"{row['accepted_accuracy']:.3f} |"]))
    return "\n".join(lines)


def main() -> None:
    """Run what is missing, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a folder with SET.npz")
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--report", action="store_true")
    asked = parser.parse_args()
    rows = [json.loads(line) for line in asked.rows.read_text().splitlines()] if asked.rows.exists() else []
    if asked.report:
        print(table(rows))
        return
    known = {(row["set"], row["seed"], row["steps"]) for row in rows}
    for name, seed in itertools.product(asked.sets, asked.seeds):
        if (name, seed, asked.steps) not in known:
            row = json.dumps(measure(asked.data / f"{name}.npz", seed, asked.steps))
            print(row, flush=True)
            with asked.rows.open("a") as file:
                file.write(row + "\n")


if __name__ == "__main__":
    main()
