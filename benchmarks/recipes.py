"""Which recipe trains an outline best? One JSON line for each training of the same outline by one recipe on one set.

    python benchmarks/recipes.py --data FOLDER --rows docs/quality/recipes.jsonl --workers 2
    python benchmarks/recipes.py --rows docs/quality/recipes.jsonl --report

Data, split, shared heads and batches are those of ``readouts.py``; the outline is ``OUTLINE``, within 10,000 parameters
and 3,300 multiply-accumulates a time step. A row has by readout, and for the mean of the probabilities of all heads
(``together``), ``[loss on val, accuracy on val, accuracy on test]``.
"""

import argparse
import os
import statistics
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from outlines import MACS_A_STEP, PARAMS, params_by_readout
from readouts import SMOOTHING, Case, Row, Shared, batches, figures, known_rows, sets_in, train_all

OUTLINE = {
    **{"kind": "separable", "first": 15, "decimation": 1, "depth": 3, "taps": 9, "stride": 2, "growth": 1.4},
    **{"dilation": 2, "fill": 0.95, "readout": "means_4"},
}


@dataclass(frozen=True)
class Recipe:
    """How it is trained, by AdamW.

    Attributes:
        rate: the largest one.
        cycle: whether the rate rises over the first 30 % of the steps; else it falls from the start, as a cosine.
        bias: of the BatchNorms before a ReLU, at the start.
        decay: of the weights.
        heads: how many of them each step trains, at random; 0 for all.
        dropout: of what the heads see.
        mixup: both parameters of the Beta distribution (arXiv 1710.09412); 0 for none.
        mask: the share of a sample that is hidden, in one piece.
        steps: of the training.
    """

    rate: float = 0.01
    cycle: bool = True
    bias: float = 0.0
    decay: float = 0.01
    heads: int = 2
    dropout: float = 0.0
    mixup: float = 0.0
    mask: float = 0.0
    steps: int = 1000


RECIPES = {
    "base": Recipe(),
    "run": Recipe(rate=0.02, cycle=False, bias=1.0),
    "cos": Recipe(cycle=False),
    "bias": Recipe(bias=1.0),
    "lr20": Recipe(rate=0.02),
    "all": Recipe(heads=0),
    "dropout": Recipe(dropout=0.3),
    "wd": Recipe(decay=0.2),
    "mixup": Recipe(mixup=0.2),
    "mask": Recipe(mask=0.15),
    "steps3000": Recipe(steps=3000),
}


def train(path: Path, name: str, seed: int) -> Row:
    """One training."""
    os.environ["OMP_NUM_THREADS"] = "1"
    import torch

    from nas_lightning.space.outlines import Outline, OutlineSpace
    from nas_lightning.tasks import Classification
    from nas_lightning.training.module import open_relus

    torch.set_num_threads(1)
    case, recipe = Case(path, seed), RECIPES[name]
    task = Classification(case.channels, case.length, case.classes)
    space = OutlineSpace(task, {"params": PARAMS, "macs": MACS_A_STEP * case.length})
    blocks = space.blueprint(Outline(**OUTLINE)).blocks  # type: ignore[arg-type]
    params = params_by_readout(blocks, task)
    torch.manual_seed(seed)
    shared = Shared(case, blocks, [len(blocks) - 1], [each for each, count in params.items() if count <= PARAMS])
    open_relus(shared.blocks, recipe.bias)
    start = time.process_time()
    fit(case, shared, recipe, seed)
    seconds = time.process_time() - start
    features = [shared.features(x) for x in case.x[1:]]
    logits = {key: [head(part[key]).detach() for part in features] for key, head in shared.heads.items()}
    mean = [torch.stack([each[i].softmax(1) for each in logits.values()]).mean(0).log() for i in (0, 1)]
    heads = {key.partition(" ")[2]: figures(found, case.y[1:]) for key, found in logits.items()}
    row = {"set": path.stem, "recipe": name, "seed": seed, "seconds": round(seconds, 2)}
    return row | {"heads": heads, "together": figures(mean, case.y[1:])}


def fit(case: Case, shared: Shared, recipe: Recipe, seed: int) -> None:
    """Train by a recipe, on batches in an order that follows from the seed."""
    import torch
    from torch.nn import functional as F

    optimizer = torch.optim.AdamW(shared.parameters(), recipe.rate, weight_decay=recipe.decay)
    schedules: Any = torch.optim.lr_scheduler
    schedule = (
        schedules.OneCycleLR(optimizer, recipe.rate, total_steps=recipe.steps)
        if recipe.cycle
        else schedules.CosineAnnealingLR(optimizer, recipe.steps)
    )
    generator, keys = torch.Generator().manual_seed(seed), list(shared.heads)
    for index in batches(len(case.x[0]), recipe.steps, generator):
        x, target, share, other = _changed(case.x[0][index], case.y[0][index], recipe, generator)
        drawn = [keys[i] for i in torch.randperm(len(keys), generator=generator)[: recipe.heads or None]]
        features, loss = shared.program(x), torch.zeros(())
        for key in drawn:
            logits = shared.heads[key](F.dropout(features[:, shared.columns[key]], recipe.dropout))
            for part, labels in ((share, target), (1 - share, other)):
                loss = loss + part * F.cross_entropy(logits, labels, label_smoothing=SMOOTHING)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()


def _changed(x: Any, target: Any, recipe: Recipe, generator: Any) -> tuple[Any, Any, float, Any]:
    """Samples as they are trained on, their labels, the share of these, and the labels of the rest."""
    import torch

    if recipe.mask:
        steps, width = torch.arange(x.shape[2]), max(1, int(recipe.mask * x.shape[2]))
        since = steps - torch.randint(0, x.shape[2], (len(x), 1), generator=generator)
        x = x.masked_fill(((since >= 0) & (since < width))[:, None], 0)
    if not recipe.mixup:
        return x, target, 1.0, target
    share = float(torch.distributions.Beta(recipe.mixup, recipe.mixup).sample())
    other = torch.randperm(len(x), generator=generator)
    return share * x + (1 - share) * x[other], target, share, target[other]


def report(rows: list[Row]) -> None:
    """By recipe points on test above the base, over sets, with their standard error: by val, and all heads together."""
    by_recipe = defaultdict[str, dict[tuple[str, int], Row]](dict)
    for row in rows:
        by_recipe[row["recipe"]][row["set"], row["seed"]] = row
    base = by_recipe["base"]
    for name, found in by_recipe.items():
        common = sorted(found.keys() & base.keys())
        chosen = [100 * (_chosen(found[key])[2] - _chosen(base[key])[2]) for key in common]
        val = [100 * (_chosen(found[key])[1] - _chosen(base[key])[1]) for key in common]
        together = [100 * (found[key]["together"][2] - _chosen(found[key])[2]) for key in common]
        shown = " ".join(f"{statistics.mean(each):+.2f} +- {_error(each):.2f}" for each in (chosen, val, together))
        mean = statistics.mean(_chosen(found[key])[2] for key in common)
        seconds = statistics.mean(found[key]["seconds"] for key in common)
        print(f"{name:10s} {len(common)} {mean:.4f} {shown} {seconds:.1f}")


def _chosen(row: Row) -> Any:
    return min(row["heads"].values())


def _error(values: list[float]) -> float:
    return statistics.stdev(values) / len(values) ** 0.5


def main() -> None:
    """Run what is missing, or report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, nargs="*", default=[], help="folders of .npz files, or such files")
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--report", action="store_true")
    parser.add_argument("--recipes", nargs="*", default=list(RECIPES), choices=list(RECIPES))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rows = known_rows(options.rows)
    if options.report:
        report(rows)
        return
    known = {(row["set"], row["recipe"], row["seed"]) for row in rows}
    jobs = [
        (path, name, options.seed)
        for name in options.recipes
        for path in sets_in(options.data)
        if (path.stem, name, options.seed) not in known
    ]
    train_all(train, jobs, options.workers, options.rows)


if __name__ == "__main__":
    main()
