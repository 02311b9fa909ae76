"""How time and memory of a search step grow with batch, length, layers, channels and nodes. One JSON line a case.

    python benchmarks/scaling.py --picture docs/scaling.svg > scaling.jsonl

Each row varies one number of preset m and keeps the others; ``growth`` is the exponent p of time ~ number^p between the
two largest cases (1: linear).
"""

import argparse
import json
import math
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from supernet_step import build_step, measure

BASE = {"batch": 64, "length": 128, "nas_layers": 10, "nas_init_channels": 4, "nas_nodes_per_layer": 4}
AXES = {
    "batch": (16, 32, 64, 128, 256, 512),
    "length": (32, 64, 128, 256, 512, 1024),
    "nas_layers": (5, 10, 20, 40),
    "nas_init_channels": (1, 2, 4, 8, 16),
    "nas_nodes_per_layer": (2, 4, 6, 8),
}


def case(axis: str, value: int) -> tuple[int, int, tuple[str, ...]]:
    """Batch, length and settings of a case."""
    numbers = BASE | {axis: value}
    fanout = min(4, numbers["nas_nodes_per_layer"])
    settings = tuple(f"training.{key}={number}" for key, number in numbers.items() if key.startswith("nas_"))
    return numbers["batch"], numbers["length"], (*settings, f"training.nas_fanout_concat={fanout}")


def step_ms(axis: str, value: int, repeats: int) -> float:
    """The median time of a step."""
    batch, length, settings = case(axis, value)
    step = build_step("m", "first", batch, length, 1, overrides=settings)
    return statistics.median(measure({"fast": step}, repeats, "cpu")["fast"])


def peak_mib(axis: str, value: int, threads: int) -> float:
    """What a step takes at its peak, in a process of its own."""
    batch, length, settings = case(axis, value)
    script = str(Path(__file__).with_name("supernet_step.py"))
    call = [sys.executable, script, "--sizes", "m", "--memory-of", "fast", "--threads", str(threads)]
    call += ["--batch", str(batch), "--length", str(length), *settings]
    return float(subprocess.run(call, check=True, capture_output=True, text=True).stdout)


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """One panel an axis: time and memory, both logarithmic, with a linear slope for comparison."""
    figure = Figure(figsize=(3.2 * len(AXES), 3.4), layout="constrained")
    for axes, axis in zip(figure.subplots(1, len(AXES)), AXES, strict=True):
        found = [row for row in rows if row["axis"] == axis]
        x = [row["value"] for row in found]
        axes.loglog(x, [row["step_ms"] for row in found], "o-", label="ms a step")
        axes.loglog(x, [row["peak_mib"] for row in found], "s--", label="MiB at the peak")
        axes.loglog(x, [found[-1]["step_ms"] * value / x[-1] for value in x], ":", color="grey", label="linear")
        axes.set(title=axis.removeprefix("nas_"), xticks=x, xticklabels=[str(value) for value in x])
        axes.minorticks_off()
    figure.axes[0].legend(fontsize=8)
    figure.savefig(path)


def main() -> None:
    """Print all cases, and draw them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--picture", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    rows: list[dict[str, Any]] = []
    for axis, values in AXES.items():
        for value in values:
            row = {"axis": axis, "value": value, "step_ms": round(step_ms(axis, value, arguments.repeats), 2)}
            row["peak_mib"] = round(peak_mib(axis, value, arguments.threads), 1)
            if value == values[-1]:
                before = rows[-1]
                row["growth"] = round(
                    math.log(row["step_ms"] / before["step_ms"]) / math.log(value / before["value"]), 2
                )
            rows.append(row)
            print(json.dumps(row | {"threads": arguments.threads}), flush=True)
    if arguments.picture:
        draw(rows, arguments.picture)


if __name__ == "__main__":
    main()
