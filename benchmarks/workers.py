"""How trainings side by side scale: one JSON line for each number of workers.

    python benchmarks/workers.py --data WISDM.npz
    python benchmarks/workers.py --data WISDM.npz --workers 1 2 16 --jobs 16

The same trainings of random networks of size m, each of one epoch of all batches. ``wall`` begins where the pool is
opened and ends with the last result. ``most`` is the speed-up that as many
cores as workers would have by that: the cpu of one worker over that of the busiest of them; memory and caches that the
cores share are not in it.
"""

import argparse
import json
import math
import os
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any


def timed(course: Any, blueprint: Any) -> tuple[int, float]:
    """The process that did a training, and its own seconds."""
    from nas_lightning.training.evaluator import train_shortly

    start = time.process_time()
    train_shortly(course, blueprint, 1)
    return os.getpid(), time.process_time() - start


def main() -> None:
    """Measure."""
    import torch
    import workers as own  # by the name that a worker finds it under

    from nas_lightning.config.compose import compose_config
    from nas_lightning.runs.build import build_data
    from nas_lightning.runs.context import Run
    from nas_lightning.runs.pools import pool_of
    from nas_lightning.search.derivation import draw_within
    from nas_lightning.search.moment import Moment

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, help="a .npz file; else BasicMotions")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4, 16])
    parser.add_argument("--jobs", type=int, default=16)
    options = parser.parse_args()
    source = [f"dataset.input_data_path={options.data.absolute()}"] if options.data else []
    base = ["nas_model_size=m", "training.training_epochs=1", "logger=none", "callbacks=none", *source]
    data = build_data(compose_config(base))
    data.setup()
    first = None
    with tempfile.TemporaryDirectory() as folder:
        for count in options.workers:
            config = compose_config([*base, f"run.workers={count}"])
            run = Run(config, data, Path(folder))
            drawn = draw_within(Moment(1.0, torch.Generator().manual_seed(0), run.space), run.limits, options.jobs)
            jobs = [partial(own.timed, blueprint=run.space.blueprint(each)) for each in drawn]
            start = time.perf_counter()
            with pool_of(config, run, len(jobs), math.inf) as pool:
                results = list(pool.map(jobs))
                wall = time.perf_counter() - start
            busy: dict[int, float] = {}
            for pid, seconds in results:
                busy[pid] = busy.get(pid, 0) + seconds
            first = first or sum(busy.values())
            row = {"workers": count, "jobs": len(jobs), "wall": wall}
            row["most"] = first / max(busy.values())
            print(json.dumps({name: round(value, 2) for name, value in row.items()}), flush=True)


if __name__ == "__main__":
    main()
