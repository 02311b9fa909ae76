"""How much of a network's accuracy is its genotype, and how much is the draw of its training: what a search can gain.

    python benchmarks/variance.py --data FOLDER --rows genotypes.jsonl --sets ECG5000 WISDM --genotypes 12 --seeds 2
    python benchmarks/variance.py --rows genotypes.jsonl --report

Random genotypes are each trained from several seeds, which decide the weights, the order of batches and which samples
are ``val``. For each set the report gives the standard deviation of test accuracy between genotypes and between seeds
of one genotype (one-way random effects), and the correlation of test accuracy with the logarithm of the parameters,
with the accuracy on ``val`` after the same training, and with that after an eighth of the epochs from another seed.
``best_of`` is what is reached if the best on ``val`` of so many genotypes is kept.
"""

import argparse
import itertools
import json
import multiprocessing
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import numpy as np
from quality import QUIET, recipe_of, refuse_others, schedule_of, subset

Row = dict[str, Any]
RECIPE = ("train", "test", "steps", "short", "batch")


def run_genotype(path: Path, index: int, seeds: Sequence[int], options: argparse.Namespace) -> list[Row]:
    """One random genotype: a row for each seed, by its long and by its short training."""
    os.environ["OMP_NUM_THREADS"] = "1"
    import torch

    from nas_lightning.config.compose import compose_config
    from nas_lightning.runs.build import build_data
    from nas_lightning.runs.context import Run
    from nas_lightning.search.derivation import draw_within
    from nas_lightning.search.moment import Moment
    from nas_lightning.training.evaluate import predict

    torch.set_num_threads(1)
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data_path = subset(path, {"train": options.train, "test": options.test}, folder)
        settings = [
            *QUIET, *schedule_of(data_path, options.batch, options.steps), f"dataset.input_data_path={data_path}",
            f"nas_model_size={options.preset}", *options.set,
        ]  # fmt: skip
        for seed in seeds:
            config = compose_config([*settings, f"seed={seed}"])
            data = build_data(config)
            data.setup()
            run = Run(config, data, folder)
            moment = Moment(1.0, torch.Generator().manual_seed(1000 + index), run.space)
            genotype = draw_within(moment, run.limits, 1)[0]
            row = {
                "set": path.stem,
                "preset": options.preset,
                "settings": " ".join(options.set),
                "genotype": index,
                "seed": seed,
                "recipe": recipe_of(options, RECIPE),
            }
            row["params"] = run.space.cost(genotype)["params"]
            for label, epochs in (("long", config.training.training_epochs), ("short", options.short)):
                epochs = epochs or max(1, config.training.training_epochs // 8)
                start = time.perf_counter()
                pace = config.training.training_epochs / epochs
                module = run.recipe.module(run.space.blueprint(genotype), data, seed, pace)
                run.recipe.short_trainer(epochs).fit(module, data.train_dataloader(), data.val_dataloader())
                for split, loader in (("val", data.val_dataloader()), ("test", data.test_dataloader())):
                    found = run.task.figures(*predict(module.network, loader))
                    row |= {f"{label}_{split}": found["accuracy"], f"{label}_{split}_loss": found["loss"]}
                row[f"{label}_seconds"] = time.perf_counter() - start
            rows.append(row)
    return rows


def components(values: dict[int, list[float]]) -> tuple[float, float] | tuple[None, None]:
    """Standard deviations between groups and within them, by the mean squares of a one-way analysis of variance.

    None if there are fewer than two groups of several values.
    """
    groups = [np.asarray(group) for group in values.values() if len(group) > 1]
    if len(groups) < 2:
        return None, None
    size = float(np.mean([len(group) for group in groups]))
    within = float(np.mean([group.var(ddof=1) for group in groups]))
    between = float(np.var([group.mean() for group in groups], ddof=1)) - within / size
    return max(0.0, between) ** 0.5, within**0.5


def report(rows: list[Row]) -> None:
    """Print a line for each set."""
    groups: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row["preset"], row["settings"], row["set"]].append(row)
    for (preset, settings, name), own in sorted(groups.items()):
        by_genotype: dict[int, list[Row]] = defaultdict(list)
        for row in own:
            by_genotype[row["genotype"]].append(row)
        between, within = components({i: [row["long_test"] for row in of] for i, of in by_genotype.items()})
        test = [row["long_test"] for row in own]
        line: Row = {"set": name, "preset": preset, "settings": settings, "rows": len(own)}
        line |= {"params": float(np.mean([row["params"] for row in own])), "mean": float(np.mean(test))}
        line |= {"between_genotypes": between, "between_seeds": within}
        line["log_params"] = correlation([np.log(row["params"]) for row in own], test)
        line["long_val"] = correlation([row["long_val"] for row in own], test)
        # A short training that is to predict a long one is another draw: that of another seed.
        pairs = [pair for of in by_genotype.values() for pair in itertools.permutations(of, 2)]
        line["short_val"] = correlation([one["short_val"] for one, _ in pairs], [two["long_test"] for _, two in pairs])
        line["best_of"] = {count: best_of(own, count) for count in (1, 2, 3, 5)}
        print(json.dumps({key: round(each, 4) if isinstance(each, float) else each for key, each in line.items()}))


def correlation(x: Sequence[float], y: Sequence[float]) -> float | None:
    """Of Pearson; None where there is none."""
    if len(x) < 2 or min(np.std(x), np.std(y)) == 0:
        return None
    return round(float(np.corrcoef(x, y)[0, 1]), 4)


def best_of(rows: list[Row], count: int) -> list[float] | None:
    """Mean and deviation of test accuracy of the best on val of so many genotypes, over all choices of them.

    They are trained from one seed, and so validated on the same samples; mean over the seeds.
    """
    by_seed: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        by_seed[row["seed"]].append(row)
    found = []
    for own in by_seed.values():
        choices = itertools.combinations(own, count)
        kept = [max(choice, key=lambda row: (row["long_val"], -row["long_val_loss"])) for choice in choices]
        if kept:
            found.append([np.mean([row["long_test"] for row in kept]), np.std([row["long_test"] for row in kept])])
    return [round(float(value), 4) for value in np.mean(found, axis=0)] if found else None


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
    options = parser.parse_args()
    rows = [json.loads(line) for line in options.rows.read_text().splitlines()] if options.rows.is_file() else []
    if not options.report:
        refuse_others(options.rows, rows, recipe_of(options, RECIPE))
        settings = " ".join(options.set)
        done = {(row["set"], row["preset"], row["settings"], row["genotype"], row["seed"]) for row in rows}
        missing = {
            (name, i): [s for s in range(options.seeds) if (name, options.preset, settings, i, s) not in done]
            for i in range(options.genotypes)
            for name in options.sets
        }
        failed: list[str] = []
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(options.processes, context) as pool:
            jobs = {
                pool.submit(run_genotype, options.data / f"{name}.npz", index, seeds, options): (name, index)
                for (name, index), seeds in missing.items()
                if seeds
            }
            for job in as_completed(jobs):
                if (error := job.exception()) is not None:
                    failed.append(f"{jobs[job]}: {error}")
                    continue
                with options.rows.open("a") as file:
                    file.writelines(json.dumps(row) + "\n" for row in job.result())
        if failed:
            raise SystemExit("\n".join(failed))
        rows = [json.loads(line) for line in options.rows.read_text().splitlines()]
    report(rows)


if __name__ == "__main__":
    main()
