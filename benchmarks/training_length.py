"""How long a final training should be, and on what batches: one JSON line for each finished training.

    python benchmarks/training_length.py --data FOLDER --rows length.jsonl --lengths 16x200e 32x2000
    python benchmarks/training_length.py --rows length.jsonl --report 16x200e
    python benchmarks/training_length.py --rows length.jsonl --patience 0.1 0.2 0.25 0.3

A random network of the preset is trained on all samples of a set. A length is ``BATCHxEPOCHSe``, ``BATCHxSTEPS``, or
``rule``, the program's own; one counted in steps has 20 to 200 epochs, each of a part of the samples where the set is
large. The epoch kept is that of the second half with the least loss on val. ``bests`` are the epochs that were the best
so far, with their accuracy on test: from them follows what an earlier end would have kept.
"""

import argparse
import json
import math
import multiprocessing
import os
import statistics
import tempfile
import time
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

Row = dict[str, Any]
LEAST_EPOCHS, MOST_EPOCHS = 20, 200


def schedule(length: str, samples: int) -> tuple[int, int, int]:
    """Batch size, epochs and steps an epoch."""
    if length == "rule":
        return by_rule(samples)
    batch, _, rest = length.partition("x")
    whole = math.ceil(samples / int(batch))
    if rest.endswith("e"):
        return int(batch), int(rest[:-1]), whole
    epochs = min(MOST_EPOCHS, max(LEAST_EPOCHS, math.ceil(int(rest) / whole)))
    return int(batch), epochs, min(whole, math.ceil(int(rest) / epochs))


def by_rule(samples: int) -> tuple[int, int, int]:
    """As the program does where nothing is said."""
    from nas_lightning.data.windows import batch_size_of
    from nas_lightning.runs.lengths import TRAINING_EPOCHS, samples_seen
    from nas_lightning.training.length import Length

    batch = batch_size_of(samples)
    whole = math.ceil(samples / batch)
    found = Length.of_steps(math.ceil(samples_seen(samples) / batch), whole, *TRAINING_EPOCHS)
    return batch, found.epochs, found.batches or whole


def train(path: Path, length: str, seed: int, preset: str) -> Row:
    """One training; the network follows from the seed."""
    os.environ["OMP_NUM_THREADS"] = "1"
    import lightning as L
    import numpy as np
    import torch

    from nas_lightning.config.compose import compose_config
    from nas_lightning.runs.build import build_data
    from nas_lightning.runs.context import Run
    from nas_lightning.search.derivation import draw_within
    from nas_lightning.search.moment import Moment
    from nas_lightning.training.evaluate import predict

    class Judge(L.Callback):
        """Looks at val after each epoch, and at test where it is the best so far of the second half."""

        def __init__(self) -> None:
            self.least, self.bests, self.losses = math.inf, [], []

        def on_train_epoch_end(self, trainer: L.Trainer, module: Any) -> None:
            epoch, task = trainer.current_epoch, data.task
            loss = task.figures(*predict(module.network, data.val_dataloader()))["loss"]
            self.losses.append(round(loss, 4))
            if epoch == trainer.max_epochs // 2:
                self.least = math.inf
            if loss < self.least:
                self.least = loss
                if epoch >= trainer.max_epochs // 2:
                    test = task.figures(*predict(module.network, data.test_dataloader()))["accuracy"]
                    self.bests.append((epoch + 1, round(test, 4)))
            module.train()

    torch.set_num_threads(1)
    with np.load(path) as file:
        samples = math.floor(len(file["y_train"]) * 0.75)
    batch, epochs, steps = schedule(length, samples)
    with tempfile.TemporaryDirectory() as folder:
        config = compose_config(
            ["logger=none", "callbacks=none", f"dataset.input_data_path={path}", f"nas_model_size={preset}",
             f"seed={seed}", f"training.batch_size={batch}", f"training.training_epochs={epochs}"]
        )  # fmt: skip
        data = build_data(config)
        data.setup()
        run = Run(config, data, Path(folder))
        genotype = draw_within(Moment(1.0, torch.Generator().manual_seed(1000 + seed), run.space), run.limits, 1)[0]
        module, judge = run.recipe.module(run.space.blueprint(genotype), data, seed), Judge()
        trainer = L.Trainer(
            max_epochs=epochs, limit_train_batches=steps, callbacks=[judge], accelerator="cpu", logger=False,
            limit_val_batches=0, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        )  # fmt: skip
        start = time.process_time()
        trainer.fit(module, data.train_dataloader(), data.val_dataloader())
        seconds = time.process_time() - start
        last = run.task.figures(*predict(module.network, data.test_dataloader()))["accuracy"]
    return {
        "set": path.stem, "length": length, "preset": preset, "seed": seed, "samples": samples, "epochs": epochs,
        "steps": trainer.global_step, "params": run.space.cost(genotype)["params"], "accuracy": judge.bests[-1][1],
        "last": round(last, 4), "seconds": round(seconds, 2), "bests": judge.bests, "losses": judge.losses,
    }  # fmt: skip


def report(rows: list[Row], base: str) -> None:
    """For each length its accuracy and time against those of ``base`` on the same sets and seeds; a set is the unit."""
    from nas_lightning.runs.control import mean_interval

    cells: dict[str, dict[str, dict[int, Row]]] = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        cells[row["length"]][row["set"]][row["seed"]] = row
    for length, sets in cells.items():
        pairs = {
            name: [(row, cells[base][name][seed]) for seed, row in of_set.items() if seed in cells[base][name]]
            for name, of_set in sets.items()
        }
        pairs = {name: pair for name, pair in pairs.items() if pair}

        def mean(key: str, side: int, pairs: dict[str, list[tuple[Row, Row]]] = pairs) -> dict[str, float]:
            return {name: statistics.fmean(pair[side][key] for pair in of_set) for name, of_set in pairs.items()}

        accuracy, before, seconds = mean("accuracy", 0), mean("accuracy", 1), mean("seconds", 0)
        gains = {name: 100 * (accuracy[name] - before[name]) for name in pairs}
        mean_gain, half = mean_interval([*gains.values()])
        largest = sorted(pairs, key=lambda name: -pairs[name][0][0]["samples"])[:3]
        print(json.dumps({
            "length": length, "sets": len(pairs), "accuracy": round(statistics.fmean(accuracy.values()), 4),
            "gain": round(mean_gain, 2), "interval": None if half is None else round(half, 2),
            "time of the largest": {name: round(seconds[name] / mean("seconds", 1)[name], 3) for name in largest},
            "gains": {name: round(gain, 1) for name, gain in gains.items()},
            "seconds": {name: round(each, 1) for name, each in seconds.items()},
        }))  # fmt: skip


def early_end(rows: list[Row], patience: float) -> None:
    """What an end after so large a share of the epochs without a better one keeps and saves."""
    gains, saved = [], []
    for row in rows:
        epochs, losses = row["epochs"], row["losses"]
        best, end = epochs // 2, epochs
        for epoch in range(epochs // 2, epochs):
            if losses[epoch] < losses[best]:
                best = epoch
            elif epoch - best >= max(1, math.ceil(patience * epochs)):
                end = epoch + 1
                break
        kept = [accuracy for epoch, accuracy in row["bests"] if epoch <= end][-1]
        gains.append(100 * (kept - row["accuracy"]))
        saved.append(1 - end / epochs)
    means = {"gain": statistics.fmean(gains), "worst": min(gains), "saved": statistics.fmean(saved)}
    print(json.dumps({"patience": patience, **{name: round(value, 3) for name, value in means.items()}}))


def main() -> None:
    """Train what is missing, or report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, nargs="+", help="folders of .npz files")
    parser.add_argument("--rows", type=Path, required=True, help="JSON lines; finished trainings are added")
    parser.add_argument("--sets", nargs="*", help="names of files without .npz; all if not given")
    parser.add_argument("--lengths", nargs="*", default=[])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--preset", default="m")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--report", metavar="BASE", help="compare all lengths with this one")
    parser.add_argument("--patience", type=float, nargs="+", help="say what an early end would have changed")
    options = parser.parse_args()
    lines = options.rows.read_text().splitlines() if options.rows.is_file() else []
    rows = [json.loads(line) for line in lines]
    if options.report:
        report(rows, options.report)
        return
    if options.patience:
        for patience in options.patience:
            early_end(rows, patience)
        return
    done = {(row["set"], row["length"], row["preset"], row["seed"]) for row in rows}
    files = {path.stem: path for folder in options.data for path in sorted(folder.glob("*.npz"))}
    wanted = [
        (files[name], length, seed, options.preset)
        for seed in range(options.seeds) for length in options.lengths for name in options.sets or sorted(files)
    ]  # fmt: skip
    missing = [each for each in wanted if (each[0].stem, each[1], each[3], each[2]) not in done]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.processes, context, max_tasks_per_child=1) as pool:
        for job in as_completed([pool.submit(train, *each) for each in missing]):
            row = job.result()
            with options.rows.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(row["set"], row["length"], row["seed"], row["accuracy"], row["seconds"], flush=True)


if __name__ == "__main__":
    main()
