"""The story of a run, top to bottom: data, search, contest, training, test, export."""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from nas_lightning import progress
from nas_lightning.config.compose import in_keys
from nas_lightning.config.records import Config
from nas_lightning.data.protocol import SearchData
from nas_lightning.errors import InputError
from nas_lightning.files import plain, write_json
from nas_lightning.report.results import RunMetrics, RunResult, SearchSummary
from nas_lightning.runs.build import build_data, set_up, try_parts
from nas_lightning.runs.candidates import candidates_of, compare_seeds
from nas_lightning.runs.checks import check_config
from nas_lightning.runs.claim import begin
from nas_lightning.runs.context import Run, identity
from nas_lightning.runs.control import control
from nas_lightning.runs.costs import check_fit
from nas_lightning.runs.decisions import check_decisions
from nas_lightning.runs.init import digest_of, fixed_network, without_search
from nas_lightning.runs.logs import quiet_lightning, run_log
from nas_lightning.runs.plan import planned
from nas_lightning.runs.pools import pool_of
from nas_lightning.runs.searches import Searched, search
from nas_lightning.runs.trainings import FinalTrainings, Kept
from nas_lightning.space.base import Blueprint
from nas_lightning.space.reference import OwnBlueprint
from nas_lightning.training.evaluator import Evaluator
from nas_lightning.training.length import batches_of
from nas_lightning.workers.base import Pool

log = logging.getLogger("nas_lightning")

CONTEST = "contest.json"
"""The short trainings of a run."""


def run(
    config: Config,
    folder: Path,
    data: SearchData | None = None,
    *,
    warm_start: Path | None = None,
    since: float | None = None,
) -> RunResult:
    """Do the whole road once and leave its files in ``folder``; go on with the run that it holds a part of.

    Args:
        config: checked here before any data is read.
        folder: the run folder; made if it is missing.
        data: used instead of what the configuration names.
        warm_start: the checkpoints of another run of this size, from whose supernets the searches start.
        since: when its time began, by ``time.perf_counter``; None: now.

    Raises:
        InputError: if the configuration or the data are wrong (then nothing is written), or the training diverges.
        BudgetError: if no network of the space meets the budget (then nothing is written).
        ParityError: if the exported file does not compute what the network computes.
    """
    since, config = time.perf_counter() if since is None else since, without_search(config)
    stage = Run(config, check_start(config, folder, data), folder, warm_start)
    _ = stage.init  # refuses a network for other samples before anything is written
    with progress.step("pricing the networks of the space"):
        check_fit(stage)
    if not config.training.nas_enabled and isinstance(own := fixed_network(config, stage.task), OwnBlueprint):
        from nas_lightning.runs.deployment import try_deployment  # what exports is imported at need

        with progress.step("trying to deploy the network"):
            try_deployment(stage, own)
    folder.mkdir(parents=True, exist_ok=True)
    with run_log(folder), quiet_lightning():
        log.info("run folder: %s", folder)
        begin(folder, config, stage.data, digest_of(config))
        _write_data(stage)
        if config.run.max_minutes is not None:
            stage = planned(config, stage, since)
        with pool_of(stage.config, stage, *_work(stage)) as pool:
            if config.training.nas_enabled:
                first, metrics, kept = _search_and_train(stage, pool)
            else:
                first, metrics = fixed_network(config, stage.task), _identity(stage)
                kept = FinalTrainings(stage, pool).train([first])
        from nas_lightning.runs.finish import describe, finish  # what exports is imported at need

        if kept is not None:
            return finish(stage, kept, metrics)
        cost = describe(stage, first)
        log.info("training.enable is false: the run ends with %s", first.file)
        return RunResult(folder, metrics, cost)


def _identity(run: Run) -> RunMetrics:
    """What ``metrics.json`` says before a network is trained that was not searched."""
    if run.init is None:
        return identity(run.config)
    run.init.say()
    return replace(identity(run.config), init=run.init.summary())


def _work(run: Run) -> tuple[int, float]:
    """How many searches and trainings there are to be done, and about how many steps of training."""
    config, batches = run.config, batches_of(run.data.train_dataloader())
    trainings = config.selection.trainings if config.training.enable else 0
    others = config.control.networks + 2 if config.control.networks and config.training.enable else 0
    steps = run.lengths.training.steps(batches) or math.inf
    return max(trainings + others, run.plan.num_seeds), steps * (trainings + others / 8)


def check_start(config: Config, folder: Path, data: SearchData | None) -> SearchData:
    """What comes before anything is written: check the configuration, and read the data.

    Raises:
        InputError: if one of them is wrong.
    """
    check_config(config)
    digest_of(config)  # refuses what is no run
    with quiet_lightning():
        try_parts(config, folder)
    is_own, data = data is None, data or build_data(config)
    if config.export.include_features:
        _check_export(data.front_end.for_export)  # before anything is read
    set_up(data, has_keys=is_own)
    if config.export.include_features:
        _check_export(data.check_export)
    check_decisions(config, data)
    return data


def _check_export(check: Callable[[], object]) -> None:
    try:
        check()
    except InputError as error:
        raise InputError(f"export.include_features: {error}; allowed: false") from error


def _search_and_train(run: Run, pool: Pool) -> tuple[Blueprint, RunMetrics, Kept | None]:
    """Search, hold what was found against random networks, and train the candidates, unless nothing is trained."""
    evaluator = Evaluator(run.recipe, run.data, run.config.testing.metric, run.folder / CONTEST, pool)
    trainings = FinalTrainings(run, pool)

    def second_run(searches: list[Searched]) -> None:
        """The fixed network's training, unless the control may put another network in its place."""
        if run.config.training.enable and not run.config.control.keep_better:
            found = candidates_of(run, searches)[: run.config.selection.trainings]
            trainings.begin([run.blueprint(architecture) for architecture in found])

    searches = search(run, evaluator, second_run, pool)
    candidates, metrics = _compared(run, evaluator, searches)
    write_json(run.folder / "metrics.json", plain(metrics))
    first = run.space.blueprint(candidates[0])
    if not run.config.training.enable:
        return first, metrics, None
    return first, metrics, trainings.train([run.blueprint(architecture) for architecture in candidates])


def _compared(run: Run, evaluator: Evaluator, searches: list[Searched]) -> tuple[list[Any], RunMetrics]:
    """The architectures to be trained, after the comparisons that the configuration asks for, and what these say."""
    found, most = candidates_of(run, searches), run.config.selection.trainings
    candidates = found[:most]
    if len(found) > most and len(searches) > 1:
        log.info("selection: of %d candidates the first %d are trained (selection.candidates)", len(found), most)
    metrics = replace(identity(run.config), search=_summary(run, searches))
    if run.config.training.enable:
        if len(searches) > 1:
            metrics = replace(metrics, seeds=compare_seeds(run, evaluator, searches))
        if run.config.control.networks:
            better, section = control(run, evaluator, candidates[0])
            metrics = replace(metrics, control=section)
            candidates = candidates if better == candidates[0] else [better]
    return candidates, metrics


def _summary(run: Run, searches: list[Searched]) -> SearchSummary:
    return SearchSummary(
        strategy=run.strategy.name,
        seconds=sum(each.seconds for each in searches),
        epochs=sum(each.epochs for each in searches),
        steps=sum(each.steps for each in searches),
    )


def _write_data(run: Run) -> None:
    """The lists of the splits, and what a user should know about the data."""
    for decision in run.data.decisions:
        log.info("data: %s", in_keys(decision, "data"))
    for note in run.data.notes:
        log.warning("data: %s", in_keys(note, "data"))
    with progress.step("writing the lists of the splits"):
        run.data.write_annotations(run.folder)
    counts = ", ".join(f"{split} {count:,}" for split, count in run.data.sizes.items())
    task, outputs = run.task, run.task.outputs
    shape = task.in_channels, task.length, outputs.count, outputs.in_c.word
    log.info("data: %s samples of %d channels and %d steps, %d %s", counts, *shape)
