"""Fit what code takes on each core to measured firmware, and tell the errors on networks that were not fitted.

    python benchmarks/fit_cores.py rows.jsonl --write nas_lightning/cost/cores.json

Rows come from firmware_costs.py. Two of four networks are fitted, the other two are held out; a JSON line for each core
and form tells the errors of both. Bytes are the smallest sum of allowances that is nowhere below the truth, with a
margin of ``MARGIN`` on code; instructions are least squares of each kind's function, relative, and of what remains:
the entry and library functions.
"""

import argparse
import itertools
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog, lsq_linear

MARGIN = 1.06
KINDS = (
    "affine",
    "conv",
    "pointwise",
    "depthwise",
    "linear",
    "max_pool",
    "avg_pool",
    "concat",
    "global_avg_pool",
    "relu",
)
NUM_FEATURES = {"conv": 5, "depthwise": 5, "pointwise": 4, "linear": 4} | dict.fromkeys(
    ("affine", "max_pool", "avg_pool", "concat", "global_avg_pool", "relu"), 3
)
ELEMENTS = {kind: 1 if kind == "global_avg_pool" else 2 for kind in KINDS}  # the feature that counts the values made
_PER_PRODUCT = {kind: NUM_FEATURES[kind] - 1 for kind in ("conv", "pointwise", "depthwise", "linear")}
# What calls library functions, without a floating-point unit or a long multiplication, by the features that count it.
CALLERS = {
    # each value made, and each product and sum
    "float32": [[item] for item in (*ELEMENTS.items(), *_PER_PRODUCT.items(), ("global_avg_pool", 2))],
    # each sum of a convolution, as it is rescaled; means over time and logits are in float
    "int8": [[(kind, ELEMENTS[kind]) for kind in _PER_PRODUCT], [("linear", 1)], [("global_avg_pool", 1)]],
}


Row = dict[str, Any]


def byte_terms(row: Row) -> dict[str, float]:
    """How often each allowance is paid."""
    terms: dict[str, float] = defaultdict(float)
    terms["base"] = 1
    known = set()
    for layer in row["layers"]:
        first = layer["signature"] not in known
        known.add(layer["signature"])
        for name, count in (("code", first), ("call", 1)):
            terms[f"{name} {layer['kind']}"] += count
            if layer["kind"] == "concat":
                terms[f"{name} concat_input"] += count * layer["inputs"]
    return terms


def fit_bytes(rows: list[Row]) -> dict[str, float]:
    """The allowances: the least sum of relative excesses, with no network above its estimate."""
    names = sorted({name for row in rows for name in byte_terms(row)})
    counts = np.array([[byte_terms(row).get(name, 0) for name in names] for row in rows])
    flash = np.array([row["flash_bytes"]["measured"] for row in rows], float)
    code = flash - [row["constant_bytes"] for row in rows]
    result = linprog((counts / flash[:, None]).sum(0), A_ub=-counts, b_ub=-code, bounds=(0, None))
    assert result.x is not None, result.message
    return dict(zip(names, result.x * MARGIN, strict=True))


def fit_instructions(rows: list[Row]) -> dict[str, NDArray[np.float64]]:
    """Numbers by kind: of the functions themselves, then of what they call and of the entry."""
    numbers = {kind: np.zeros(NUM_FEATURES[kind]) for kind in KINDS}
    for kind in {layer["kind"] for row in rows for layer in row["layers"]}:
        layers = [layer for row in rows for layer in row["layers"] if layer["kind"] == kind]
        features = np.array([layer["features"] for layer in layers], float)
        truth = np.array([layer["instructions"] for layer in layers])
        weights = 1 / np.maximum(truth, 1)
        numbers[kind] = np.linalg.lstsq(features * weights[:, None], truth * weights, rcond=None)[0]
    callers = CALLERS[rows[0]["numbers"]]
    made = [
        [
            sum(layer["features"][i] for layer in row["layers"] for kind, i in group if layer["kind"] == kind)
            for group in callers
        ]
        + [row["entry_elements"], len(row["layers"])]
        for row in rows
    ]
    rest = [row["instructions"]["measured"] - sum(layer["instructions"] for layer in row["layers"]) for row in rows]
    weights = 1 / np.array([row["instructions"]["measured"] for row in rows], float)
    counts = np.array(made, float) * weights[:, None]
    found = lsq_linear(counts, np.array(rest) * weights, bounds=(0, np.inf)).x * counts.any(0)
    for group, more in zip(callers, found, strict=False):
        for kind, i in group:
            numbers[kind][i] += more
    for kind in KINDS:
        if kind not in ("affine", "relu") or numbers[kind].any():
            numbers[kind][0] += found[-1]
    numbers["affine"][ELEMENTS["affine"]] += found[-2]
    return numbers


def errors(rows: list[Row], bytes_: dict[str, float], numbers: dict[str, NDArray[np.float64]]) -> dict[str, float]:
    """Relative errors of both models on networks."""
    flash, instructions = [], []
    for row in rows:
        code = sum(bytes_.get(name, 0) * count for name, count in byte_terms(row).items())
        flash.append((code + row["constant_bytes"]) / row["flash_bytes"]["measured"] - 1)
        estimate = sum(float(np.dot(numbers[layer["kind"]], layer["features"])) for layer in row["layers"])
        if row["numbers"] == "int8":  # the normalisation is part of the entry, and no function of its own
            estimate += float(np.dot(numbers["affine"], (1, 0, row["entry_elements"])))
        instructions.append(estimate / row["instructions"]["measured"] - 1)
    return {
        "flash_least": min(flash),
        "flash_mean": float(np.mean(flash)),
        "flash_most": max(flash),
        "instructions_median": float(np.median(np.abs(instructions))),
        "instructions_most": max(map(abs, instructions)),
    }


def table(bytes_: dict[str, float], numbers: dict[str, NDArray[np.float64]]) -> dict[str, Any]:
    """The entry of ``cores.json``."""
    keys = [*KINDS, "concat_input"]
    return {
        "base_bytes": int(np.ceil(bytes_["base"])),
        "code_bytes": {key: int(np.ceil(bytes_.get(f"code {key}", 0))) for key in keys},
        "call_bytes": {key: int(np.ceil(bytes_.get(f"call {key}", 0))) for key in keys},
        "instructions": {kind: [round(float(x), 3) for x in numbers[kind]] for kind in KINDS},
    }


def draw(points: dict[str, list[tuple[float, float]]], path: Path) -> None:
    """The excess of the flash estimate over the flash of held-out networks, by core."""
    figure, axes = plt.subplots(figsize=(7, 3.5), layout="constrained")
    for core, own in points.items():
        flash, excess = zip(*own, strict=True)
        axes.scatter(flash, [100 * value for value in excess], s=12, label=core)
    axes.set(xscale="log", xlabel="flash of the linked network, bytes (int8)", ylabel="estimate above it, %")
    axes.axhline(0, color="gray", linewidth=0.8)
    axes.axhline(15, color="gray", linewidth=0.8, linestyle="--")
    axes.legend(fontsize="small")
    figure.savefig(path)


def main() -> None:
    """Print the errors; write the file if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("rows", type=Path, nargs="+")
    parser.add_argument("--picture", type=Path, help="errors of the int8 estimates, an SVG file")
    parser.add_argument("--write", type=Path, help="cores.json, fitted to all rows")
    options = parser.parse_args()
    rows = [json.loads(line) for path in options.rows for line in path.read_text().splitlines()]
    content: dict[str, dict[str, Any]] = defaultdict(dict)
    points: dict[str, list[tuple[float, float]]] = {}
    for core, form in dict.fromkeys((row["core"], row["numbers"]) for row in rows):
        own = [row for row in rows if (row["core"], row["numbers"]) == (core, form)]
        fitted, held_out = ([row for row in own if row["index"] // 2 % 2 == side] for side in (0, 1))
        models = fit_bytes(fitted), fit_instructions(fitted)
        for name, some in (("fitted", fitted), ("held out", held_out)):
            print(
                json.dumps(
                    {"core": core, "numbers": form, "rows": name, "networks": len(some), **errors(some, *models)}
                )
            )
        if form == "int8":
            points[core] = [(row["flash_bytes"]["measured"], errors([row], *models)["flash_mean"]) for row in held_out]
        content[core][form] = table(fit_bytes(own), fit_instructions(own))
    if options.picture:
        draw(points, options.picture)
    if options.write:
        known = json.loads(options.write.read_text())
        for core, form in itertools.product(content, content[next(iter(content))]):
            for part in ("code_bytes", "call_bytes", "instructions"):
                content[core][form][part]["add"] = known[core][form][part]["add"]  # addition_costs.py fits it
        options.write.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
