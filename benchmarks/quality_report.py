"""Tables of what quality.py has measured, a JSON line each, and a critical-difference picture.

    python benchmarks/quality_report.py quality.jsonl --picture docs/ranks.svg

For each data set, preset and side: mean and 95 % interval (Student's t, over seeds) of test accuracy and macro F1, and
means of parameters, MACs and seconds. For each pair of sides in the same cases: on how many sets the first has the
higher mean, and the mean difference with its interval over sets. The picture shows average ranks over sets (1 is best)
with the critical difference of Nemenyi's test at 5 % (Demsar 2006, "Statistical Comparisons of Classifiers over
Multiple Data Sets", section 3.2.2): sides that a bar joins cannot be told apart.
"""

import argparse
import itertools
import json
import math
from collections import defaultdict
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from scipy import stats

from nas_lightning.contest import mean_interval

Row = dict[str, Any]


def summary(rows: list[Row]) -> dict[str, Any]:
    """The line of one set, preset and side."""
    found: dict[str, Any] = {"seeds": len(rows)}
    for name in ("accuracy", "macro_f1"):
        mean, half = mean_interval([row[name] for row in rows])
        found |= {name: round(mean, 4), f"{name}_interval": None if half is None else round(half, 4)}
    found["std"] = round(float(np.std([row["accuracy"] for row in rows], ddof=1)), 4) if len(rows) > 1 else None
    found |= {name: round(float(np.mean([row[name] for row in rows]))) for name in ("params", "macs")}
    return found | {"seconds": round(float(np.mean([sum(row["seconds"].values()) for row in rows])), 1)}


def compare(means: dict[str, dict[str, float]], first: str, second: str) -> dict[str, Any] | None:
    """Two sides on the sets that both have."""
    sets = sorted(means[first].keys() & means[second].keys())
    if not sets:
        return None
    differences = [means[first][name] - means[second][name] for name in sets]
    mean, half = mean_interval(differences)
    return {
        "sides": [first, second],
        "sets": len(sets),
        "higher": sum(difference > 0 for difference in differences),
        "difference": round(mean, 4),
        "interval": None if half is None else round(half, 4),
    }


def average_ranks(means: dict[str, dict[str, float]]) -> tuple[dict[str, float], int]:
    """Average rank of each side over the sets that all have, and their number."""
    sets = sorted(set.intersection(*(set(of_side) for of_side in means.values())))
    ranks = [stats.rankdata([-means[side][name] for side in means]) for name in sets]
    return dict(zip(means, np.mean(ranks, axis=0).tolist(), strict=True)) if sets else {}, len(sets)


def critical_difference(num_sides: int, num_sets: int) -> float:
    """Of average ranks, at 5 %."""
    quantile = float(stats.studentized_range.ppf(0.95, num_sides, np.inf)) / math.sqrt(2)
    return quantile * math.sqrt(num_sides * (num_sides + 1) / (6 * num_sets))


def draw(ranks: dict[str, float], width: float, path: Path) -> None:
    """The sides on a line of ranks, and bars over those that are nearer than the critical difference."""
    order = sorted(ranks, key=lambda side: ranks[side])
    figure, axes = plt.subplots(figsize=(7, 1.2 + 0.28 * len(order)), layout="constrained")
    for i, side in enumerate(order):
        axes.plot(ranks[side], i, "o", color="black")
        axes.annotate(f"  {side}  {ranks[side]:.2f}", (ranks[side], i), va="center", fontsize="small")
    last = -1
    for i, side in enumerate(order):
        end = max(j for j, other in enumerate(order) if ranks[other] - ranks[side] <= width)
        if end > last and end > i:
            axes.plot([ranks[side]] * 2, [i, end], color="tab:blue", linewidth=3, alpha=0.4)
            last = end
    axes.set(xlabel=f"average rank (critical difference {width:.2f})", yticks=[], xlim=(0.5, len(order) + 1.5))
    axes.invert_yaxis()
    figure.savefig(path)


def main() -> None:
    """Print the lines."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("rows", type=Path, nargs="+")
    parser.add_argument("--picture", type=Path, help="an SVG file, of the sides of one preset")
    parser.add_argument("--preset", default="m", help="of the picture")
    options = parser.parse_args()
    rows = [json.loads(line) for path in options.rows for line in path.read_text().splitlines()]
    groups: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row["preset"], row["side"], row["set"]].append(row)
    means: dict[str, dict[str, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    for (preset, side, name), own in sorted(groups.items()):
        line = summary(own)
        means[preset][side][name] = line["accuracy"]
        print(json.dumps({"set": name, "preset": preset, "side": side, **line}))
    for preset, of_preset in means.items():
        for first, second in itertools.combinations(of_preset, 2):
            if (line := compare(of_preset, first, second)) is not None:
                print(json.dumps({"preset": preset, **line}))
        if len(of_preset) > 1:
            ranks, num_sets = average_ranks(of_preset)
            if ranks:
                width = critical_difference(len(ranks), num_sets)
                print(json.dumps({"preset": preset, "sets": num_sets, "ranks": ranks, "critical_difference": width}))
                if options.picture and preset == options.preset:
                    draw(ranks, width, options.picture)


if __name__ == "__main__":
    main()
