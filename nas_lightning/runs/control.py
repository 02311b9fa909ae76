"""The control: would chance have done as well, and a network made by hand."""

import logging
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from nas_lightning.config.compose import options_of, reference_model
from nas_lightning.cost.exact import Cost, cost_of
from nas_lightning.errors import InputError
from nas_lightning.report.results import Control, Reference, Standing
from nas_lightning.runs.build import called, hand_made
from nas_lightning.runs.candidates import control_epochs
from nas_lightning.runs.context import Run
from nas_lightning.space.base import Blueprint
from nas_lightning.training.evaluator import Evaluator

log = logging.getLogger("nas_lightning")


def control(run: Run, evaluator: Evaluator, kept: Any) -> tuple[Any, Control]:
    """Hold the first candidate against random networks of the same space and budget, and a hand-made one.

    It has ``won`` if its value is above the 95 % interval (Student's t) of the mean of the random ones, ``lost`` if
    it is below that interval, else it is ``undecided``. With ``control.keep_better`` the best of the random ones is
    trained instead where its value is larger.

    Returns:
        the architecture to keep, and what ``metrics.json`` says of it.
    """
    epochs, metric = control_epochs(run), run.config.testing.metric
    drawn = _random_networks(run, kept)
    found, *others = (run.space.blueprint(architecture) for architecture in (kept, *drawn))  # with one readout each
    made_by_hand = _references(run, kept)
    every = [found, *others, *(blueprint for _, _, blueprint in made_by_hand)]
    evaluator.figures(every, epochs, "control: short trainings")
    value, ranked = evaluator.value(found, epochs), evaluator.rank(others, epochs)
    values = tuple(random for random, _ in ranked)
    references = [
        Reference(name=name, params=params, value=evaluator.value(blueprint, epochs))
        for name, params, blueprint in made_by_hand
    ]
    keeps_random = run.config.control.keep_better and bool(values) and values[0] > value
    standing = stand(value, values)
    words = sentence(metric, epochs, value, len(values), standing)
    log.info("control: %s", words)
    section = Control(
        **vars(standing),
        metric=metric,
        epochs=epochs,
        found=value,
        params=run.space.cost(kept)["params"],
        random=values,
        references=tuple(references),
        kept="random" if keeps_random else "found",
        seconds=evaluator.seconds(every, epochs),
        sentence=words,
    )
    return (drawn[ranked[0][1]] if keeps_random else kept), section


def _random_networks(run: Run, kept: Any) -> list[Any]:
    """As many as asked for, without the one that they are held against."""
    count = run.config.control.networks
    return [each for each in run.draw(count + 1) if each != kept][:count]


def stand(value: float, values: Sequence[float]) -> Standing:
    """Rank, mean, 95 % interval of the mean and verdict of a value against those of random networks.

    >>> stand(0.9, [0.7, 0.8]).rank, stand(0.6, [0.7, 0.8]).verdict, stand(0.6, [0.79, 0.8]).verdict
    (1, 'undecided', 'lost')
    """
    if not values:
        return Standing(rank=1, mean=None, interval=None, verdict="undecided")
    mean, half = mean_interval(values)
    rank = 1 + sum(other > value for other in values)
    if half is None:
        return Standing(rank=rank, mean=mean, interval=None, verdict="undecided")
    low, high = max(0.0, mean - half), min(1.0, mean + half)  # of a rate
    verdict = "won" if value > high else "lost" if value < low else "undecided"
    return Standing(rank=rank, mean=mean, interval=(low, high), verdict=verdict)


def mean_interval(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean, and the half width of its 95 % interval by Student's t; None for a single value."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return mean, None
    from scipy import stats  # at need: its import takes long

    error = float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return mean, float(stats.t.ppf(0.975, len(values) - 1)) * error


def sentence(metric: str, epochs: int, found: float, count: int, standing: Standing) -> str:
    """Where a network stands among ``count`` random ones, in words."""
    if standing.mean is None:
        return "no other network of this space meets the budget"
    words = {
        "won": "the search beat random choice",
        "lost": "the search lost to random choice",
        "undecided": "the search cannot be told from random choice",
    }
    interval = standing.interval
    about = f"mean {standing.mean:.4f}" + (f", 95 % {interval[0]:.4f} to {interval[1]:.4f}" if interval else "")
    return (
        f"{words[standing.verdict]}: {metric} {found:.4f} on val after {epochs} epochs, "
        f"rank {standing.rank} of {count + 1} ({count} random networks: {about})"
    )


def _cost(run: Run, blueprint: Blueprint) -> Cost:
    return cost_of(blueprint.build(), run.task.in_channels, run.task.length, run.numbers)


def _references(run: Run, kept: Any) -> list[tuple[str, int, Blueprint]]:
    """The smallest hand-made network that has at least as many parameters: name, parameters, blueprint."""
    least, found = run.space.cost(kept)["params"], []
    config_dirs = run.config.common.config_dirs
    for name in options_of("model", config_dirs):
        try:
            reference = hand_made(reference_model(name, config_dirs), run.task)
            cost = called("model", _cost, run, reference)
        except InputError as error:
            log.warning("control: the hand-made network %s is left out: %s", name, error)
            continue
        found.append((cost.params, name, reference))
    larger = [each for each in found if each[0] >= least]
    return [(name, params, reference) for params, name, reference in sorted(larger, key=lambda each: each[0])[:1]]
