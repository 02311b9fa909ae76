"""Tables of what quality.py has measured, a JSON line each, and a critical-difference picture.

    python benchmarks/quality_report.py quality.jsonl --picture docs/quality/ranks.svg
    python benchmarks/quality_report.py quality.jsonl --table m --sides default random plain

For each data set, preset and side: mean and 95 % interval (Student's t, over seeds) of test accuracy and macro F1, and
means of parameters, MACs and seconds. For each pair of sides, from the cases (set and seed) that both have: on how many
sets the first has the higher mean, and the mean difference with its interval over sets. Hand-made networks are held
against the sides of every preset. The picture shows average ranks over sets (1 is best), from the cases that all have,
with the critical difference of Nemenyi's test at 5 % (Demsar 2006, "Statistical Comparisons of Classifiers over
Multiple Data Sets", section 3.2.2): sides that a bar joins cannot be told apart.
"""

import argparse
import itertools
import json
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from scipy import stats

from nas_lightning.runs.control import mean_interval

Row = dict[str, Any]
Values = dict[str, dict[tuple[str, int], float]]  # accuracy by side, set and seed


def summary(rows: list[Row]) -> dict[str, Any]:
    """The line of one set, preset and side."""
    found: dict[str, Any] = {"seeds": len(rows)}
    for name in ("accuracy", "macro_f1"):
        mean, half = mean_interval([row[name] for row in rows])
        found |= {name: round(mean, 4), f"{name}_interval": None if half is None else round(half, 4)}
    found["std"] = round(float(np.std([row["accuracy"] for row in rows], ddof=1)), 4) if len(rows) > 1 else None
    found |= {name: round(float(np.mean([row[name] for row in rows]))) for name in ("params", "macs")}
    return found | {"seconds": round(float(np.mean([sum(row["seconds"].values()) for row in rows])), 1)}


def means_of(values: Values, sides: Sequence[str]) -> dict[str, dict[str, float]]:
    """For each of these sides the mean of each set over the cases that all of them have."""
    shared = sorted(set.intersection(*(set(values[side]) for side in sides)))
    found: dict[str, dict[str, float]] = {side: {} for side in sides}
    for name, cases in itertools.groupby(shared, key=lambda case: case[0]):
        of_set = list(cases)
        for side in sides:
            found[side][name] = float(np.mean([values[side][case] for case in of_set]))
    return found


def compare(values: Values, first: str, second: str) -> dict[str, Any] | None:
    """Two sides on what both have."""
    means = means_of(values, [first, second])
    sets = list(means[first])
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


def average_ranks(values: Values) -> tuple[dict[str, float], int]:
    """Average rank of each side over the sets that all have, and their number."""
    means = means_of(values, list(values))
    sets = list(next(iter(means.values())))
    ranks = [stats.rankdata([-means[side][name] for side in means]) for name in sets]
    return dict(zip(means, np.mean(ranks, axis=0).tolist(), strict=True)) if sets else {}, len(sets)


def critical_difference(num_sides: int, num_sets: int) -> float:
    """Of average ranks, at 5 %."""
    quantile = float(stats.studentized_range.ppf(0.95, num_sides, np.inf)) / math.sqrt(2)
    return quantile * math.sqrt(num_sides * (num_sides + 1) / (6 * num_sets))


def table(lines: dict[tuple[str, str], dict[str, Any]], sides: list[str]) -> Iterator[str]:
    """The lines of a Markdown table: sets down, sides across; accuracy with its interval, and parameters."""
    yield "| set | " + " | ".join(f"`{side}` | parameters" for side in sides) + " |"
    yield "|---" * (1 + 2 * len(sides)) + "|"
    sets = sorted({name for name, side in lines if side in sides})
    for name in sets:
        cells = [lines.get((name, side)) for side in sides]
        yield f"| {name} | " + " | ".join(_cell(line) for line in cells) + " |"
    shared = [name for name in sets if all((name, side) in lines for side in sides)]
    own = [[lines[name, side] for name in shared] for side in sides]
    cells = (f"{_mean(of_side, 'accuracy'):.3f} | {_mean(of_side, 'params'):,.0f}" for of_side in own)
    yield f"| mean of {len(shared)} | " + " | ".join(cells) + " |"
    yield "| mean deviation over seeds | " + " | ".join(f"{_mean(of_side, 'std'):.3f} | " for of_side in own) + " |"


def _mean(lines: list[dict[str, Any]], key: str) -> float:
    return float(np.mean([math.nan if line[key] is None else line[key] for line in lines]))


def _cell(line: dict[str, Any] | None) -> str:
    if line is None:
        return " | "
    half = line["accuracy_interval"]
    return f"{line['accuracy']:.3f}" + (f" ± {half:.3f}" if half is not None else "") + f" | {line['params']:,}"


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
    parser.add_argument(
        "--table", help="instead, print the Markdown table of a preset; hand-made networks have none: -"
    )
    parser.add_argument("--sides", nargs="*", help="only these")
    options = parser.parse_args()
    rows = [json.loads(line) for path in options.rows for line in path.read_text().splitlines()]
    rows = [row for row in rows if not options.sides or row["side"] in options.sides]
    groups: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row["preset"], row["side"], row["set"]].append(row)
    lines = {key: summary(own) for key, own in sorted(groups.items())}
    if options.table:
        presets = (options.table, "-")
        of_preset = {(name, side): line for (preset, side, name), line in lines.items() if preset in presets}
        print("\n".join(table(of_preset, options.sides or sorted({side for _, side in of_preset}))))
        return
    for (preset, side, name), line in lines.items():
        print(json.dumps({"set": name, "preset": preset, "side": side, **line}))
    values: dict[str, dict[str, dict[tuple[str, int], float]]] = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        values[row["preset"]][row["side"]][row["set"], row["seed"]] = row["accuracy"]
    hand_made = values.pop("-", {})
    for preset, by_side in sorted(values.items()):
        report_preset(preset, by_side | hand_made, options.picture if preset == options.preset else None)


def report_preset(preset: str, values: Values, picture: Path | None) -> None:
    """Print how the sides of a preset compare, and draw their ranks."""
    for first, second in itertools.combinations(values, 2):
        if (line := compare(values, first, second)) is not None:
            print(json.dumps({"preset": preset, **line}))
    if len(values) < 2:
        return
    ranks, num_sets = average_ranks(values)
    if ranks:
        width = critical_difference(len(ranks), num_sets)
        print(json.dumps({"preset": preset, "sets": num_sets, "ranks": ranks, "critical_difference": width}))
        if picture:
            draw(ranks, width, picture)


if __name__ == "__main__":
    main()
