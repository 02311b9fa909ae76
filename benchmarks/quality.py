"""How good are the networks that are found, and against what: one JSON line for each finished case.

    python benchmarks/quality.py --data FOLDER --rows quality.jsonl --sides default random cnn_s --presets s m l
    python benchmarks/quality.py --data FOLDER --rows quality.jsonl --sides darts gdas tunas --presets m --sets ECG5000

A case is a whole run of the program on one data set (``FOLDER/NAME.npz``), for one preset and one seed. Cases whose
line is in the file are not run again, so that a study can be stopped and go on. Sides:

- ``default``: as the program comes;
- ``random``: random networks of the same space, as many as can be trained in the time that the search and the
  trainings of ``default`` took in the same case, which must be done before (``random:...`` goes with ``default:...``);
  the best on val is kept;
- ``plain``: first-order DARTS of 10 epochs by the cross entropy alone: no penalty, one training;
- ``fixed``: one random network, trained once: for comparing recipes;
- the name of a strategy, or of a hand-made network;
- ``NAME:KEY=VALUE,KEY=VALUE``: any of these with other settings.

Schedules are counted in steps, so that large and small sets take the same time; sets can be made smaller, for all
sides alike.
"""

import argparse
import contextlib
import io
import json
import math
import multiprocessing
import os
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

QUIET = ["logger=none", "callbacks=none", "export.int8=false", "control.num_random=0"]
RECIPE = ("train", "test", "steps", "search_steps", "batch")


@dataclass(frozen=True)
class Case:
    """One run."""

    data: Path
    side: str
    preset: str
    seed: int

    @property
    def key(self) -> tuple[str, str, str, int]:
        """What names it in the file."""
        return (self.data.stem, self.side, self.preset, self.seed)


def overrides_of(case: Case, candidates: int) -> list[str]:
    """The settings of a side."""
    from nas_lightning.config.compose import conf_dir

    name, _, more = case.side.partition(":")
    extra = [part for part in more.split(",") if part]
    if name == "default":
        return extra
    if name == "random":
        return ["search=random", f"selection.candidates={candidates}", *extra]
    if name == "fixed":
        return ["search=random", "selection.candidates=1", *extra]
    if name == "plain":
        penalties = [f"search.penalties.{each}.weight=0" for each in ("cost", "budget", "ram")]
        return ["search=darts", "training.nas_epochs=10", "selection.candidates=1", *penalties, *extra]
    if (conf_dir() / "model" / f"{name}.yaml").is_file():
        return ["training.nas_enabled=false", f"model={name}", *extra]
    return [f"search={name}", *extra]


def subset(path: Path, sizes: dict[str, int], folder: Path) -> Path:
    """A copy of a data set with at most so many samples of each split, the same ones for everybody."""
    with np.load(path, allow_pickle=False) as file:
        arrays = {key: file[key] for key in file.files}
    generator = np.random.default_rng(0)
    for split, most in sizes.items():
        count = len(arrays[f"y_{split}"])
        chosen = np.sort(generator.permutation(count)[: most or count])
        for key, array in arrays.items():
            if key.endswith(f"_{split}") and array.ndim and len(array) == count:
                arrays[key] = array[chosen]
    target = folder / path.name
    np.savez(target, **arrays)
    return target


def schedule_of(data: Path, batch: int, steps: int, search_steps: int = 0) -> list[str]:
    """The settings that give about so many steps of search and training, whatever the size of the set."""
    with np.load(data) as file:
        steps_an_epoch = math.ceil(len(file["y_train"]) * 0.75 / batch)
    return [
        f"training.batch_size={batch}",
        f"training.training_epochs={max(1, round(steps / steps_an_epoch))}",
        f"training.nas_epochs={max(2, round(search_steps / steps_an_epoch))}",
    ]


def run_case(case: Case, options: argparse.Namespace, candidates: int) -> dict[str, Any]:
    """The row of one case."""
    os.environ["OMP_NUM_THREADS"] = "1"
    import torch

    from nas_lightning.config.compose import compose_config
    from nas_lightning.runs.modes import run

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        data = subset(case.data, {"train": options.train, "test": options.test}, Path(folder))
        preset = "s" if case.preset == "-" else case.preset
        schedule = schedule_of(data, options.batch, options.steps, options.search_steps)
        settings = [
            *QUIET, *schedule, f"dataset.input_data_path={data}", f"seed={case.seed}", f"nas_model_size={preset}",
        ]  # fmt: skip
        config = compose_config([*settings, *overrides_of(case, candidates)])
        place, start = Path(folder) / "run", time.perf_counter()
        with contextlib.redirect_stdout(io.StringIO()):
            run(config, place)
        metrics = json.loads((place / "metrics.json").read_text())
        cost = json.loads((place / "cost.json").read_text())
    seconds = {stage: metrics[stage]["seconds"] for stage in ("search", "training") if stage in metrics}
    return {
        **dict(zip(("set", "side", "preset", "seed"), case.key, strict=True)),
        "accuracy": metrics["test"]["accuracy"],
        "macro_f1": metrics["test"]["macro_f1"],
        "val_accuracy": metrics["val"]["accuracy"],
        **{name: cost[name] for name in ("params", "macs")},
        "seconds": seconds,
        "candidates": config.selection.trainings,
        "wall_seconds": time.perf_counter() - start,
        "recipe": recipe_of(options, RECIPE),
    }


def recipe_of(options: argparse.Namespace, names: Sequence[str]) -> dict[str, int | None]:
    """What all rows of a file must have in common."""
    return {name: getattr(options, name) for name in names}


def refuse_others(path: Path, rows: Iterable[dict[str, Any]], recipe: dict[str, int | None]) -> None:
    """End the program if rows of another recipe lie in the file."""
    if others := [row["recipe"] for row in rows if row["recipe"] != recipe]:
        raise SystemExit(f"--rows: {path} has rows of {others[0]}, not of {recipe}")


def cases_of(options: argparse.Namespace) -> Iterator[Case]:
    """All cases that were asked for; those of a hand-made network once, whatever the preset."""
    names = options.sets or sorted(path.stem for path in options.data.glob("*.npz"))
    for seed in range(options.seeds):
        for name in names:
            for side in options.sides:
                for preset in ["-"] if side.startswith("cnn_") else options.presets:
                    yield Case(options.data / f"{name}.npz", side, preset, seed)


def is_random(case: Case) -> bool:
    """Whether the case needs to know how long ``default`` took."""
    return case.side.partition(":")[0] == "random"


def candidates_of(case: Case, rows: dict[tuple[str, str, str, int], dict[str, Any]]) -> int:
    """For ``random``: how many trainings take as long as search and trainings of ``default`` together; else unused."""
    if not is_random(case):
        return 0
    key = (case.key[0], case.side.replace("random", "default", 1), case.preset, case.seed)
    if key not in rows:
        raise SystemExit(f"--sides: {case.side} needs the time of {key[1]} first, which is missing for {key}")
    row = rows[key]
    seconds = row["seconds"]
    return round(row["candidates"] * (seconds["search"] + seconds["training"]) / seconds["training"])


def main() -> None:
    """Run what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="a folder of .npz files")
    parser.add_argument("--rows", type=Path, required=True, help="JSON lines; finished cases are added")
    parser.add_argument("--sets", nargs="*", help="names of files without .npz; all if not given")
    parser.add_argument("--sides", nargs="+", default=["default"])
    parser.add_argument("--presets", nargs="+", default=["m"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--train", type=int, default=0, help="samples of train and val together; 0: all")
    parser.add_argument("--test", type=int, default=0, help="samples of test; 0: all")
    parser.add_argument("--steps", type=int, default=1500, help="of the final training")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--search-steps", type=int, default=400, help="of the search")
    options = parser.parse_args()
    lines = options.rows.read_text().splitlines() if options.rows.is_file() else []
    rows = {(row["set"], row["side"], row["preset"], row["seed"]): row for row in map(json.loads, lines)}
    refuse_others(options.rows, rows.values(), recipe_of(options, RECIPE))
    missing = [case for case in cases_of(options) if case.key not in rows]
    waves: tuple[list[Case], list[Case]] = ([], [])
    for case in missing:
        waves[is_random(case)].append(case)
    failed: list[str] = []
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.processes, context, max_tasks_per_child=1) as pool:
        for wave in waves:
            counts = {case: candidates_of(case, rows) for case in wave}
            jobs = {pool.submit(run_case, case, options, count): case for case, count in counts.items()}
            for job in as_completed(jobs):
                if (error := job.exception()) is not None:
                    failed.append(f"{jobs[job].key}: {error}")
                    continue
                row = job.result()
                rows[row["set"], row["side"], row["preset"], row["seed"]] = row
                with options.rows.open("a") as file:
                    file.write(json.dumps(row) + "\n")
                print(json.dumps(row), flush=True)
    if failed:
        raise SystemExit("\n".join(failed))


if __name__ == "__main__":
    main()
