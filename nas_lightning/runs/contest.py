"""Short trainings side by side: do several searches agree, and would chance have done as well.

All networks of a contest are trained by the recipe of the final training, played in fewer epochs, and compared on
``val``. No test sample is read. Results lie in ``contest.json``, so that a run that was stopped trains none twice.
"""

import logging
import math
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import Any

import numpy as np
import torch
from scipy import stats

from nas_lightning.config.compose import reference_models
from nas_lightning.config.records import Config
from nas_lightning.cost.exact import cost_of
from nas_lightning.cost.projection import project
from nas_lightning.files import read_as, read_json_list, write_json
from nas_lightning.runs.build import build_reference, build_short_trainer
from nas_lightning.runs.checks import METRICS
from nas_lightning.runs.context import Run, train_module
from nas_lightning.runs.searches import Searched
from nas_lightning.search.derivation import draw_within
from nas_lightning.search.moment import Moment
from nas_lightning.space.blueprint import Blueprint, SearchedBlueprint
from nas_lightning.space.genotype import KINDS, Genotype
from nas_lightning.training.evaluate import figures, predict

log = logging.getLogger("nas_lightning")

FILE = "contest.json"
"""The short trainings of a run."""


def _rows(content: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of the file, each with all that is read of it."""
    rows: list[dict[str, Any]] = [
        {
            "epochs": int(row["epochs"]),
            "network": dict(row["network"]),
            "val": {name: float(row["val"][name]) for name in (*METRICS, "loss")},
            "seconds": float(row["seconds"]),
        }
        for row in content
    ]
    if not all(0 <= row["val"][name] <= 1 for row in rows for name in METRICS):
        raise ValueError("a figure is none from 0 to 1")
    return rows


class Contest:
    """The short trainings of one run.

    Args:
        run: with its recipe, its data and its folder.
    """

    def __init__(self, run: Run) -> None:
        self.run, self.metric, self.path = run, run.config.testing.metric, run.folder / FILE
        self.rows: list[dict[str, Any]] = read_as(self.path, _rows, read_json_list) if self.path.exists() else []

    def value(self, blueprint: Blueprint, epochs: int) -> float:
        """``testing.metric`` on ``val`` after a training of so many epochs."""
        return self.figures(blueprint, epochs)[self.metric]

    def figures(self, blueprint: Blueprint, epochs: int) -> dict[str, float]:
        """All figures on ``val`` after a training of so many epochs."""
        description = blueprint.to_dict()
        for row in self.rows:
            if (row["epochs"], row["network"]) == (epochs, description):
                return row["val"]
        start = time.perf_counter()
        found = _train(self.run, blueprint, epochs)
        seconds = time.perf_counter() - start
        self.rows.append({"epochs": epochs, "network": description, "val": found, "seconds": seconds})
        write_json(self.path, self.rows)
        return found

    @property
    def seconds(self) -> float:
        """Of all trainings so far."""
        return sum(row["seconds"] for row in self.rows)

    def blueprint(self, genotype: Genotype) -> SearchedBlueprint:
        """The network of a genotype in this run."""
        return SearchedBlueprint(genotype, self.run.size, self.run.task)

    def rank(self, genotypes: Sequence[Genotype], epochs: int) -> list[tuple[float, Genotype]]:
        """Value and genotype, the best first; of equal ones that of the smaller loss.

        A small ``val`` knows few different accuracies.
        """
        found = [self.figures(self.blueprint(genotype), epochs) for genotype in genotypes]
        order = sorted(range(len(found)), key=lambda i: (-found[i][self.metric], found[i]["loss"]))
        return [(found[i][self.metric], genotypes[i]) for i in order]


def _train(run: Run, blueprint: Blueprint, epochs: int) -> dict[str, float]:
    """The figures on ``val`` after a training from scratch, from the seed of the first final one; 0 if it diverged."""
    module = train_module(run, blueprint, run.config.seed, run.config.training.training_epochs / epochs)
    trainer = build_short_trainer(run.config, run.folder, epochs)
    trainer.fit(module, run.data.train_dataloader(), run.data.val_dataloader())
    found = figures(*predict(module.network, run.data.val_dataloader()))
    if math.isfinite(found["loss"]):
        return found
    log.warning("contest: a training of %d epochs diverged", epochs)
    return dict.fromkeys(found, 0.0) | {"loss": sys.float_info.max}  # JSON has no infinity


def candidates_of(run: Run, searches: Sequence[Searched]) -> list[Genotype]:
    """The genotypes to be trained: up to ``selection.candidates``, each once.

    First comes what several searches vote for (``search.vote``), then the first choice of each, then the second ones.
    """
    in_turn = zip_longest(*(searched.genotypes for searched in searches))
    found = [genotype for of_rank in in_turn for genotype in of_rank if genotype is not None]
    if len(searches) > 1 and run.config.search["vote"] and has_choice(run.config):
        found.insert(0, vote(run, searches))
    different, most = list(dict.fromkeys(found)), run.config.selection.candidates
    if len(different) > most and len(searches) > 1:
        log.info("selection: of %d candidates the first %d are trained (selection.candidates)", len(different), most)
    return different[:most]


def has_choice(config: Config) -> bool:
    """Whether the op weights of a search say what it likes: not if its alphas stay as they are."""
    return config.search["arch_step"] is not None


def vote(run: Run, searches: Sequence[Searched]) -> Genotype:
    """The genotype within the budget with the largest total of the searches' log op-weights."""
    product = {kind: torch.stack([each.op_weights[kind].log() for each in searches]).mean(0).exp() for kind in KINDS}
    return project(product, run.space_cost, run.limits).genotype


def compare_seeds(contest: Contest, searches: Sequence[Searched]) -> dict[str, Any]:
    """How far searches from different seeds agree: the section ``seeds`` of ``metrics.json``.

    They are ``stable`` if their best networks differ by no more than sampling alone explains: the range of their
    values on ``val`` is at most that which K equally good networks exceed in 5 of 100 cases (the studentized range,
    with the binomial deviation of one value on this many samples).
    """
    epochs = control_epochs(contest.run.config)
    values = [contest.value(contest.blueprint(each.genotypes[0]), epochs) for each in searches]
    mean, count = float(np.mean(values)), sum(len(y) for _, y in contest.run.data.val_dataloader())
    deviation = math.sqrt(max(mean * (1 - mean), 1 / count) / count)
    allowed = float(stats.studentized_range.ppf(0.95, len(values), 1e6)) * deviation
    spread = max(values) - min(values)
    return {
        "seeds": [each.seed for each in searches],
        "epochs": epochs,
        "values": values,
        "mean": mean,
        "std": float(np.std(values, ddof=1)),
        "range": spread,
        "allowed_range": allowed,
        "agreement": agreement(searches) if has_choice(contest.run.config) else None,
        "verdict": "stable" if spread <= allowed else "unstable",
    }


def agreement(searches: Sequence[Searched]) -> dict[str, list[float]]:
    """For each kind of cell and each edge, the share of the searches whose strongest operation is the most common one.

    ``none`` counts as an operation here.
    """
    found = {}
    for kind in KINDS:
        choices = torch.stack([each.op_weights[kind].argmax(1) for each in searches])  # [K, E]
        modes = choices.mode(0).values
        found[kind] = (choices == modes).float().mean(0).tolist()
    return found


def control(contest: Contest, kept: Genotype) -> tuple[Genotype, dict[str, Any]]:
    """Hold the first candidate against random networks of the same space and budget, and a hand-made one.

    It has ``won`` if its value is above the 95 % interval (Student's t) of the mean of the random ones, ``lost`` if it
    is below the mean, else it is ``undecided``. With ``control.keep_better`` the best of the random ones is trained
    instead where its value is larger.

    Returns:
        the genotype to keep, and the section ``control`` of ``metrics.json``.
    """
    run, spent = contest.run, contest.seconds
    num_random, epochs = run.config.control.num_random, control_epochs(run.config)
    value = contest.value(contest.blueprint(kept), epochs)
    moment = Moment(1.0, torch.Generator().manual_seed(run.config.seed), run.space_cost)
    drawn = [genotype for genotype in draw_within(moment, run.limits, num_random + 1) if genotype != kept]
    ranked = contest.rank(drawn[:num_random], epochs)
    values = [random for random, _ in ranked]
    section = {"metric": contest.metric, "epochs": epochs, "found": value, "random": values} | verdict(value, values)
    section["references"] = [
        {"name": name, "params": params, "value": contest.value(blueprint, epochs)}
        for name, params, blueprint in _references(run, kept)
    ]
    keeps_random = run.config.control.keep_better and bool(values) and values[0] > value
    section |= {"kept": "random" if keeps_random else "found", "seconds": contest.seconds - spent}
    section["sentence"] = sentence(section)
    log.info("control: %s", section["sentence"])
    return (ranked[0][1] if keeps_random else kept), section


def control_epochs(config: Config) -> int:
    """``control.epochs``, or what stands for it."""
    return config.control.epochs or max(1, config.training.training_epochs // 8)


def verdict(value: float, values: Sequence[float]) -> dict[str, Any]:
    """Rank, mean, 95 % interval of the mean and verdict of a value against those of random networks.

    >>> verdict(0.9, [0.7, 0.8])["rank"], verdict(0.6, [0.7, 0.8])["verdict"]
    (1, 'lost')
    """
    if not values:
        return {"rank": 1, "mean": None, "interval": None, "verdict": "undecided"}
    mean, half = mean_interval(values)
    rank = 1 + sum(other > value for other in values)
    is_clear = half is not None and value > mean + half
    word = "won" if is_clear else "lost" if value < mean else "undecided"
    return {
        "rank": rank,
        "mean": mean,
        "interval": None if half is None else [mean - half, mean + half],
        "verdict": word,
    }


def mean_interval(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean, and the half width of its 95 % interval by Student's t; None for a single value."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return mean, None
    error = float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return mean, float(stats.t.ppf(0.975, len(values) - 1)) * error


def sentence(section: Mapping[str, Any]) -> str:
    """The section ``control`` in words."""
    count = len(section["random"])
    if not count:
        return "no other network of this space meets the budget"
    words = {
        "won": "the search beat random choice",
        "lost": "the search lost to random choice",
        "undecided": "the search cannot be told from random choice",
    }
    interval = section["interval"]
    about = f"mean {section['mean']:.4f}" + (f", 95 % {interval[0]:.4f} to {interval[1]:.4f}" if interval else "")
    return (
        f"{words[section['verdict']]}: {section['metric']} {section['found']:.4f} on val after {section['epochs']} "
        f"epochs, rank {section['rank']} of {count + 1} ({count} random networks: {about})"
    )


def _references(run: Run, kept: Genotype) -> list[tuple[str, int, Blueprint]]:
    """The smallest hand-made network that has at least as many parameters: name, parameters, blueprint."""
    least, found = run.space_cost.of(kept)["params"], []
    for name, model in reference_models().items():
        reference = build_reference(replace(run.config, model=model), run.task)
        cost = cost_of(reference.build(), run.task.in_channels, run.task.length, run.numbers)
        found.append((cost.params, name, reference))
    larger = [each for each in found if each[0] >= least]
    return [(name, params, reference) for params, name, reference in sorted(larger, key=lambda each: each[0])[:1]]
