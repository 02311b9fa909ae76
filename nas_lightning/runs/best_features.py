"""The best front end: one run for each of a list of feature presets, within one budget (``search_features``)."""

import logging
import math
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from nas_lightning.config.compose import with_features
from nas_lightning.config.records import Config
from nas_lightning.cost.exact import MEASURES
from nas_lightning.errors import FolderError, InputError
from nas_lightning.files import has_ended, read_record, write_text
from nas_lightning.report.costs import CostReport
from nas_lightning.report.results import ComparedFrontEnd, RunMetrics, RunResult
from nas_lightning.report.tables import csv_text, print_front_ends, print_summary
from nas_lightning.runs.build import build_data, set_up
from nas_lightning.runs.checks import check_config
from nas_lightning.runs.claim import begin, claimed, withdraw
from nas_lightning.runs.context import Run
from nas_lightning.runs.crew import num_workers
from nas_lightning.runs.finish import finish_kept, judged_split, one_of_several
from nas_lightning.runs.folder import copy_result, read_blueprint, read_value
from nas_lightning.runs.pipeline import run as run_once
from nas_lightning.runs.pools import pool_of

log = logging.getLogger("nas_lightning")

COLUMNS = ("front_end", "val", *MEASURES, "why_not")
"""Columns of ``front_ends.csv``: the figure on val, the costs of front end and network together."""


class _Candidate(NamedTuple):
    config: Config
    folder: Path
    row: ComparedFrontEnd


def run(config: Config, folder: Path) -> RunResult:
    """Search and train one network for each of ``features_candidates``, and keep the best in ``folder``.

    The best is the one with the highest ``testing.metric`` on val; it alone is tested. What describes the recordings
    (channels, rates) is the same for all; the budget holds for front end and network together. A front end that the
    data or the budget do not allow is left out. Every candidate has a run folder below ``front_ends``;
    ``front_ends.csv`` shows them all.

    Raises:
        InputError: as ``pipeline.run``, if no candidate can be used.
    """
    check_config(config)
    found: list[_Candidate] = []
    refused: dict[str, InputError] = {}
    folder.mkdir(parents=True, exist_ok=True)
    begin(folder, config, None)
    turns = math.ceil(len(config.features_candidates) / num_workers(config))
    job = partial(_try_candidate, config=config, folder=folder, turns=turns)
    jobs = [partial(job, name=name) for name in config.features_candidates]
    with pool_of(config, None, len(jobs), math.inf, says=False) as pool:
        for name, outcome in zip(config.features_candidates, pool.map(jobs), strict=True):
            if isinstance(outcome, InputError):
                refused[name] = outcome
            else:
                found.append(outcome)
    if not found:
        withdraw(folder)
        raise next(iter(refused.values()))
    for name, reason in refused.items():
        log.warning("front end %s is left out: %s", name, reason)
    best = max(found, key=lambda candidate: candidate.row.val or 0.0)
    rows = [candidate.row for candidate in found]
    rows += [ComparedFrontEnd(name, why_not=str(reason)) for name, reason in refused.items()]
    lines = ({"front_end": row.name, "val": row.val, **row.cost, "why_not": row.why_not} for row in rows)
    write_text(folder / "front_ends.csv", csv_text(COLUMNS, lines))
    copy_result(best.folder, folder)
    own = replace(best.config, testing=config.testing, compilation=config.compilation, export=config.export)
    data = build_data(own)
    set_up(data)
    metrics = replace(read_record(best.folder / "metrics.json", RunMetrics), front_end=best.row.name)
    result = finish_kept(Run(own, data, folder), metrics)
    print_front_ends(rows, best.row.name, config.testing.metric)
    print_summary(result, read_blueprint(folder))
    return result


def _try_candidate(shared: None, config: Config, folder: Path, turns: int, name: str) -> _Candidate | InputError:
    """A candidate, or why it cannot be used."""
    try:
        return _run_candidate(config, folder, name, turns)
    except FolderError:
        raise
    except InputError as error:
        return error


def _run_candidate(config: Config, folder: Path, name: str, turns: int) -> _Candidate:
    own = one_of_several(with_features(config, name), {"search_features": False}, turns)
    place = folder / "front_ends" / name
    if not has_ended(place):
        with claimed(place):
            run_once(own, place)
    value = read_value(place, judged_split(config), config.testing.metric)
    return _Candidate(own, place, ComparedFrontEnd(name, value, read_record(place / "cost.json", CostReport).total))
