"""How much of a network's accuracy is its genotype, and how much is the draw of its training: what a search can gain.

    python benchmarks/variance.py --data FOLDER --rows genotypes.jsonl --sets ECG5000 WISDM --genotypes 12 --seeds 2
    python benchmarks/variance.py --rows genotypes.jsonl --report

Random genotypes are each trained from several seeds. For each set the report gives the standard deviation of test
accuracy between genotypes and between seeds of the same genotype (one-way random effects), the correlation of test
accuracy with the logarithm of the parameters, and with the accuracy and the loss on val: after the same training, and
after one of an eighth of its epochs from another seed, which is what a selection sees.
"""

import argparse
import itertools
import json
import multiprocessing
import os
import tempfile
import time
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from quality import QUIET, schedule_of, subset

Row = dict[str, Any]


def run_genotype(path: Path, index: int, options: argparse.Namespace) -> list[Row]:
    """One random genotype: a row for each seed, by its long and by its short training."""
    os.environ["OMP_NUM_THREADS"] = "1"
    import torch

    from nas_lightning.config.build import build_data, build_short_trainer
    from nas_lightning.config.compose import compose_config
    from nas_lightning.search.derivation import draw_within
    from nas_lightning.search.moment import Moment
    from nas_lightning.space.blueprint import SearchedBlueprint
    from nas_lightning.stages import Run, train_module
    from nas_lightning.training.evaluate import figures, predict

    torch.set_num_threads(1)
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data_path = subset(path, {"train": options.train, "test": options.test}, folder)
        settings = [
            *QUIET, *schedule_of(data_path, options), f"dataset.input_data_path={data_path}",
            f"nas_model_size={options.preset}", *options.set,
        ]  # fmt: skip
        for seed in range(options.seeds):
            config = compose_config([*settings, f"seed={seed}"])
            data = build_data(config)
            data.setup()
            run = Run(config, data, folder)
            moment = Moment(1.0, torch.Generator().manual_seed(1000 + index), run.space_cost)
            genotype = draw_within(moment, run.limits, 1)[0]
            row = {"set": path.stem, "preset": options.preset, "genotype": index, "seed": seed}
            row["params"] = run.space_cost.of(genotype)["params"]
            for label, epochs in (("long", config.training.training_epochs), ("short", options.short)):
                epochs = epochs or max(1, config.training.training_epochs // 8)
                start = time.perf_counter()
                blueprint, pace = (
                    SearchedBlueprint(genotype, run.size, run.task),
                    config.training.training_epochs / epochs,
                )
                module = train_module(run, blueprint, seed, pace)
                build_short_trainer(config, folder, epochs).fit(module, data.train_dataloader(), data.val_dataloader())
                for split, loader in (("val", data.val_dataloader()), ("test", data.test_dataloader())):
                    found = figures(*predict(module.network, loader))
                    row |= {f"{label}_{split}": found["accuracy"], f"{label}_{split}_loss": found["loss"]}
                row[f"{label}_seconds"] = time.perf_counter() - start
            rows.append(row)
    return rows


def components(values: dict[int, list[float]]) -> tuple[float, float]:
    """Standard deviations between groups and within them, by the mean squares of a one-way analysis of variance."""
    groups = [np.asarray(group) for group in values.values() if len(group) > 1]
    size = float(np.mean([len(group) for group in groups]))
    within = float(np.mean([group.var(ddof=1) for group in groups]))
    between = float(np.var([group.mean() for group in groups], ddof=1)) - within / size
    return max(0.0, between) ** 0.5, within**0.5


def report(rows: list[Row]) -> None:
    """Print a line for each set."""
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row["preset"], row["set"]].append(row)
    for (preset, name), own in sorted(groups.items()):
        by_genotype: dict[int, list[Row]] = defaultdict(list)
        for row in own:
            by_genotype[row["genotype"]].append(row)
        between, within = components({i: [row["long_test"] for row in of] for i, of in by_genotype.items()})
        test = [row["long_test"] for row in own]
        line: Row = {"set": name, "preset": preset, "rows": len(own), "mean": float(np.mean(test))}
        line |= {"between_genotypes": between, "between_seeds": within}
        line["log_params"] = correlation([np.log(row["params"]) for row in own], test)
        line |= {key: correlation([row[key] for row in own], test) for key in ("long_val", "long_val_loss")}
        # What a selection sees is another draw than the final training: the short one of the seed before.
        pairs = [(first, second) for of in by_genotype.values() for first, second in itertools.permutations(of, 2)]
        for key in ("short_val", "short_val_loss"):
            line[key] = correlation([first[key] for first, _ in pairs], [second["long_test"] for _, second in pairs])
        print(json.dumps({key: round(value, 4) if isinstance(value, float) else value for key, value in line.items()}))


def correlation(x: list[float], y: list[float]) -> float:
    """Of Pearson."""
    return float(np.corrcoef(x, y)[0, 1])


def main() -> None:
    """Run what is missing, or report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, help="a folder of .npz files")
    parser.add_argument("--rows", type=Path, required=True, help="JSON lines; finished genotypes are added")
    parser.add_argument("--report", action="store_true", help="only print what the rows say")
    parser.add_argument("--sets", nargs="*", default=[], help="names of files without .npz")
    parser.add_argument("--preset", default="m")
    parser.add_argument("--genotypes", type=int, default=12)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--short", type=int, help="epochs of the short training; an eighth if not given")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--train", type=int, default=1500, help="samples of train and val together; 0: all")
    parser.add_argument("--test", type=int, default=2000, help="samples of test; 0: all")
    parser.add_argument("--steps", type=int, default=1000, help="of the long training")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--set", nargs="*", default=[], help="other settings of the program")
    options = parser.parse_args(namespace=argparse.Namespace(search_steps=0))
    rows = [json.loads(line) for line in options.rows.read_text().splitlines()] if options.rows.is_file() else []
    if not options.report:
        done = {(row["set"], row["preset"], row["genotype"]) for row in rows}
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(options.processes, context) as pool:
            jobs = [
                pool.submit(run_genotype, options.data / f"{name}.npz", index, options)
                for index in range(options.genotypes)
                for name in options.sets
                if (name, options.preset, index) not in done
            ]
            for job in jobs:
                with options.rows.open("a") as file:
                    file.writelines(json.dumps(row) + "\n" for row in job.result())
        rows = [json.loads(line) for line in options.rows.read_text().splitlines()]
    report(rows)


if __name__ == "__main__":
    main()
