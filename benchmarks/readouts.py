"""Which readout, and is one training that several of them share worth as much as one of each? A JSON line a training.

    python benchmarks/readouts.py --data FOLDER --rows docs/quality/readouts.jsonl --seeds 2 --workers 2
    python benchmarks/readouts.py --rows docs/quality/readouts.jsonl --report

A trunk of four blocks (about 5,000 parameters) is trained on each ``FOLDER/NAME.npz`` by AdamW with one cycle; a
quarter of train, by class, is val. Sides:

- ``mean``: with the mean over time alone;
- ``shared``: each step trains the heads of two readouts drawn at random;
- ``exits``: the same with an exit behind each block: the mean of the last one and one (exit, readout) at random;
- ``alone``: the readout whose probe ``shared`` likes best on val, trained alone.

A row has for each exit and readout ``[loss on val, accuracy on val, accuracy on test]`` of its own head (``heads``),
and of a logistic regression on the features of the frozen trunk (``probes``).
"""

import argparse
import json
import multiprocessing
import os
import statistics
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import numpy as np

Row = dict[str, Any]
READOUTS = (
    "mean",
    "maximum",
    "means_2",
    "means_4",
    "means_8",
    "positive_share",
    "positive_mean",
    "mean+means_2+means_4",
)
BLOCKS = ((12, 9, 1), (16, 7, 2), (20, 5, 2), (20, 5, 1))  # channels, taps, stride
LAST = len(BLOCKS) - 1
SIDES = ("mean", "shared", "exits", "alone")
BATCH, RATE, SMOOTHING = 32, 0.01, 0.1
STRENGTHS = (0.03, 0.3, 3.0)  # C of the regression; that with the least loss on val


def split(labels: Any, seed: int) -> Any:
    """Which samples are val: a quarter of each class, and at least one where there are two."""
    generator, val = np.random.default_rng(seed), np.zeros(len(labels), bool)
    for label in np.unique(labels):
        own = generator.permutation(np.flatnonzero(labels == label))
        val[own[: max(len(own) > 1, round(len(own) / 4))]] = True
    return val


class Case:
    """A set, split and normalised by its train part: ``x`` and ``y`` of train, val and test."""

    def __init__(self, path: Path, seed: int) -> None:
        import torch

        with np.load(path) as file:
            x, y, x_test, y_test = (file[name] for name in ("X_train", "y_train", "X_test", "y_test"))
        val = split(y, seed)
        mean, std = x[~val].mean((0, 2), keepdims=True), x[~val].std((0, 2), keepdims=True) + 1e-8
        self.x = [torch.from_numpy(((part - mean) / std).astype("float32")) for part in (x[~val], x[val], x_test)]
        self.y = [torch.from_numpy(part.astype("int64")) for part in (y[~val], y[val], y_test)]
        self.channels, self.length, self.classes = x.shape[1], x.shape[2], int(y.max()) + 1


class Shared:
    """A trunk in training, and a head for each exit and readout."""

    def __init__(self, case: Case, blocks: Sequence[Any], exits: list[int], readouts: list[str]) -> None:
        from torch import nn

        from nas_lightning.kernels.network_ops import Program
        from nas_lightning.space.readouts import build_readout

        self.norm, self.blocks, self.readers = nn.BatchNorm1d(case.channels), nn.ModuleList(), {}
        self.heads, self.columns = nn.ModuleDict(), {}
        self.program = Program(case.channels, case.length)
        planes, before, length = (
            self.program.norm(self.norm, self.program.inputs, relu=False),
            case.channels,
            case.length,
        )
        for depth, block in enumerate(blocks):
            self.blocks.append(block.build(before))
            before, length = block.channels, block.length(length)
            planes = self.program.layers(self.blocks[-1], planes)
            for name in readouts if depth in exits else ():
                key, first = f"{depth} {name}", self.program.num_features
                self.readers[key] = build_readout(name, length)
                self.readers[key].write(self.program, planes)
                self.columns[key] = slice(first, self.program.num_features)
                self.heads[key] = nn.Linear(self.program.num_features - first, case.classes)

    def parameters(self) -> list[Any]:
        """All that is trained."""
        return [*self.norm.parameters(), *self.blocks.parameters(), *self.heads.parameters()]

    def features(self, x: Any) -> dict[str, Any]:
        """By exit and readout what the frozen trunk gives, ``[N, columns]``."""
        import torch

        found = defaultdict(list)
        with torch.no_grad():
            for value in x.split(256):
                value = self.norm.eval()(value)
                for depth, block in enumerate(self.blocks):
                    value = block.eval()(value)
                    for key, reader in self.readers.items():
                        if key.startswith(f"{depth} "):
                            found[key].append(reader(value))
        return {key: torch.cat(parts) for key, parts in found.items()}


def train(path: Path, side: str, seed: int, steps: int, readout: str) -> Row:
    """One training, and what is read from it."""
    os.environ["OMP_NUM_THREADS"] = "1"
    import torch

    from nas_lightning.space.trunk import Block

    torch.set_num_threads(1)
    case = Case(path, seed)
    torch.manual_seed(seed)
    readouts = {"mean": ["mean"], "alone": [readout]}.get(side, list(READOUTS))
    blocks = [Block("full", *sizes) for sizes in BLOCKS]
    shared = Shared(case, blocks, list(range(len(BLOCKS))) if side == "exits" else [LAST], readouts)
    start = time.process_time()
    fit(case, shared, f"{LAST} mean" if side == "exits" else None, seed, steps)
    seconds = time.process_time() - start
    features = [shared.features(x) for x in case.x]
    heads = {
        key: figures([head(part[key]).detach() for part in features[1:]], case.y[1:])
        for key, head in shared.heads.items()
    }
    probes = {key: probe([part[key] for part in features], case) for key in heads}
    row = {"set": path.stem, "side": side, "seed": seed, "steps": steps, "readout": readout, "samples": len(case.x[0])}
    return row | {"seconds": round(seconds, 2), "heads": heads, "probes": probes}


def fit(case: Case, shared: Shared, always: str | None, seed: int, steps: int) -> None:
    """Train by AdamW with one cycle, on batches in an order that follows from the seed.

    Each step trains two heads: one of them ``always``, if there is one, and the others at random.
    """
    import torch
    from torch.nn import functional as F

    optimizer = torch.optim.AdamW(shared.parameters(), RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    generator, keys = torch.Generator().manual_seed(seed), list(shared.heads)
    for index in batches(len(case.x[0]), steps, generator):
        drawn = [keys[i] for i in torch.randperm(len(keys), generator=generator)[:2]]
        drawn = [always, drawn[0]] if always else drawn
        features, target = shared.program(case.x[0][index]), case.y[0][index]
        logits = (shared.heads[key](features[:, shared.columns[key]]) for key in drawn)
        loss = sum(F.cross_entropy(each, target, label_smoothing=SMOOTHING) for each in logits)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()


def batches(count: int, steps: int, generator: Any) -> Iterator[Any]:
    """The samples of each step: all of them in a random order, and again."""
    import torch

    order = torch.empty(0, dtype=torch.long)
    for _ in range(steps):
        while len(order) < BATCH:
            order = torch.cat([order, torch.randperm(count, generator=generator)])
        index, order = order[:BATCH], order[BATCH:]
        yield index


def figures(logits: list[Any], targets: list[Any]) -> list[float]:
    """Log loss and accuracy on val, accuracy on test."""
    from torch.nn import functional as F

    hits = [float((each.argmax(1) == target).float().mean()) for each, target in zip(logits, targets, strict=True)]
    return [round(float(F.cross_entropy(logits[0], targets[0])), 4), *(round(hit, 4) for hit in hits)]


def probe(features: list[Any], case: Case) -> list[float]:
    """The same of a logistic regression."""
    import torch
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    scaler, found = StandardScaler().fit(features[0].numpy()), []
    train_part, *others = (scaler.transform(part.numpy()) for part in features)
    for strength in STRENGTHS:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it may end before it has converged
            model = LogisticRegression(C=strength, max_iter=300).fit(train_part, case.y[0].numpy())
        logits = []
        for part in others:
            values = model.decision_function(part)
            every = np.full((len(part), case.classes), -30.0)  # of a class that val alone has
            every[:, model.classes_] = np.stack([-values, values], 1) / 2 if values.ndim == 1 else values
            logits.append(torch.from_numpy(every))
        found.append(figures(logits, case.y[1:]))
    return min(found)


def all_sides(path: Path, seed: int, steps: int, known: list[Row]) -> list[Row]:
    """The rows of a set and seed that are not known yet."""
    rows = {row["side"]: row for row in known}
    for side in SIDES:
        if side not in rows:
            probes = rows["shared"]["probes"] if side == "alone" else {}
            readout = min(probes, key=lambda key: probes[key][0]).partition(" ")[2] if probes else ""
            rows[side] = train(path, side, seed, steps, readout)
    return [row for row in rows.values() if row not in known]


def report(rows: list[Row]) -> None:
    """For each choice the mean accuracy over sets, and points above the mean over time with their standard error."""
    cases = defaultdict[tuple[str, int], dict[str, Row]](dict)
    for row in rows:
        cases[row["set"], row["seed"]][row["side"]] = row
    found = defaultdict[str, dict[str, list[float]]](lambda: defaultdict(list))
    for (name, _), sides in cases.items():
        if len(sides) == len(SIDES):
            for choice, accuracy in choices(sides).items():
                found[choice][name].append(accuracy)
    base = {name: statistics.mean(values) for name, values in found["mean, alone"].items()}
    print(f"{len(base)} sets")
    for choice, sets in found.items():
        means = {name: statistics.mean(values) for name, values in sets.items()}
        more = [100 * (value - base[name]) for name, value in means.items()]
        error = statistics.stdev(more) / len(more) ** 0.5
        print(f"{choice:32s} {statistics.mean(means.values()):.3f} {statistics.mean(more):+.1f} +- {error:.1f}")


def choices(sides: dict[str, Row]) -> dict[str, float]:
    """Accuracy on test by what is chosen."""
    heads, probes, exits = sides["shared"]["heads"], sides["shared"]["probes"], sides["exits"]["probes"]
    last = {key: value for key, value in exits.items() if key.startswith(f"{LAST} ")}
    (alone,) = sides["alone"]["heads"].values()
    found = {"mean, alone": sides["mean"]["heads"][f"{LAST} mean"][2], "chosen by probe, then alone": alone[2]}
    found |= {f"shared, probe of {key.partition(' ')[2]}": value[2] for key, value in probes.items()}
    found |= {"shared, chosen by probe": min(probes.values())[2], "shared, chosen by head": min(heads.values())[2]}
    found |= {"exits, chosen by probe": min(exits.values())[2], "exits, last block": min(last.values())[2]}
    return found | {"shared, best on test (an oracle)": max(value[2] for value in probes.values())}


def known_rows(path: Path) -> list[Row]:
    """Those that are in a file already; none without it."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def sets_in(given: Sequence[Path]) -> list[Path]:
    """The files of data sets, of folders by name."""
    return [path for each in given for path in (sorted(each.glob("*.npz")) if each.is_dir() else [each])]


def train_all(train: Callable[..., Row], jobs: Sequence[tuple[Any, ...]], workers: int, path: Path) -> None:
    """A row of each job, written when it is there."""
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool, path.open("a") as file:
        for done in as_completed([pool.submit(train, *job) for job in jobs]):
            file.write(json.dumps(done.result()) + "\n")
            file.flush()


def main() -> None:
    """Run what is missing, or report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, nargs="*", default=[], help="folders of .npz files, or such files")
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--report", action="store_true")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--steps", type=int, default=1000)
    options = parser.parse_args()
    rows = known_rows(options.rows)
    if options.report:
        report(rows)
        return
    paths = sets_in(options.data)
    with ProcessPoolExecutor(options.workers, multiprocessing.get_context("spawn")) as pool:
        jobs = []
        for seed in range(options.seeds):
            for path in paths:
                known = [
                    row for row in rows if (row["set"], row["seed"], row["steps"]) == (path.stem, seed, options.steps)
                ]
                jobs.append(pool.submit(all_sides, path, seed, options.steps, known))
        with options.rows.open("a") as file:
            for job in as_completed(jobs):
                file.writelines(json.dumps(row) + "\n" for row in job.result())
                file.flush()


if __name__ == "__main__":
    main()
