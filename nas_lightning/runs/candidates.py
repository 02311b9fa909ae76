"""What several searches found, held together: the genotypes to be trained, and how far the searches agree."""

import logging
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

import numpy as np
import torch

from nas_lightning.report.results import Seeds
from nas_lightning.runs.context import Run
from nas_lightning.runs.searches import Searched
from nas_lightning.training.evaluator import Evaluator

log = logging.getLogger("nas_lightning")


def candidates_of(run: Run, searches: Sequence[Searched]) -> list[Any]:
    """The architectures that can be trained, each once, the most promising first.

    First comes what several searches vote for (``search.vote``), then the first choice of each, then the second ones.
    """
    in_turn = zip_longest(*(searched.genotypes for searched in searches))
    found = [architecture for of_rank in in_turn for architecture in of_rank if architecture is not None]
    if len(searches) > 1 and run.plan.vote and has_choice(run):
        found.insert(0, vote(run, searches))
    return list(dict.fromkeys(found))


def has_choice(run: Run) -> bool:
    """Whether the op weights of a search say what it likes: not if its alphas stay as they are."""
    return run.strategy.arch_step is not None


def control_epochs(run: Run) -> int:
    """Of a short training: ``control.epochs``, or what stands for it."""
    return run.config.control.epochs or max(1, run.lengths.training.epochs // 8)


def vote(run: Run, searches: Sequence[Searched]) -> Any:
    """The architecture within the budget with the largest total of the searches' log op-weights."""
    product = {
        name: torch.stack([each.weights(name).log() for each in searches]).mean(0).exp() for name in run.space.decisions
    }
    return run.space.project(product, run.limits).architecture


def compare_seeds(run: Run, evaluator: Evaluator, searches: Sequence[Searched]) -> Seeds:
    """How far searches from different seeds agree: the section ``seeds`` of ``metrics.json``.

    They are ``stable`` if their best networks differ by no more than sampling alone explains: the range of their
    values on ``val`` is at most that which K equally good networks exceed in 5 of 100 cases (the studentized range,
    with the binomial deviation of one value on this many samples).
    """
    from scipy import stats  # at need: its import takes long

    epochs = control_epochs(run)
    found = [run.blueprint(each.genotypes[0]) for each in searches]
    evaluator.figures(found, epochs, "seeds: short trainings")
    values = [evaluator.value(blueprint, epochs) for blueprint in found]
    mean, count = float(np.mean(values)), sum(len(y) for _, y in run.data.val_dataloader())
    deviation = run.task.deviation(mean, count)
    allowed = float(stats.studentized_range.ppf(0.95, len(values), 1e6)) * deviation
    spread = max(values) - min(values)
    return Seeds(
        seeds=tuple(each.seed for each in searches),
        epochs=epochs,
        values=tuple(values),
        mean=mean,
        std=float(np.std(values, ddof=1)),
        range=spread,
        allowed_range=allowed,
        agreement=agreement(searches) if has_choice(run) else None,
        verdict="stable" if spread <= allowed else "unstable",
    )


def agreement(searches: Sequence[Searched]) -> dict[str, tuple[float, ...]]:
    """For each row of each table, the share of the searches whose strongest option is the most common one.

    ``none`` counts as an option here.
    """
    found = {}
    for name in searches[0].op_weights:
        choices = torch.stack([each.weights(name).argmax(1) for each in searches])  # [K, rows]
        modes = choices.mode(0).values
        found[name] = tuple((choices == modes).float().mean(0).tolist())
    return found
