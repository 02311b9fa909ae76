"""The best front end: one run for each of a list of feature presets, within one budget (``search_features``)."""

import copy
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas_lightning.config.compose import with_features
from nas_lightning.config.records import Config
from nas_lightning.cost.exact import MEASURES
from nas_lightning.errors import FolderError, InputError
from nas_lightning.files import has_ended, read_as, read_json, write_text
from nas_lightning.report.tables import csv_text, print_front_ends, print_summary
from nas_lightning.runs.build import build_data
from nas_lightning.runs.checks import check_config
from nas_lightning.runs.claim import begin, claimed, withdraw
from nas_lightning.runs.folder import copy_result
from nas_lightning.runs.pipeline import finish, judged_split, total_cost
from nas_lightning.runs.pipeline import run as run_once

log = logging.getLogger("nas_lightning")

COLUMNS = ("front_end", "val", *MEASURES, "why_not")
"""Columns of ``front_ends.csv``: the figure on val, the costs of front end and network together."""


@dataclass(frozen=True)
class _Candidate:
    name: str
    config: Config
    folder: Path
    value: float
    cost: dict[str, int]


def run(config: Config, folder: Path) -> None:
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
    for name in config.features_candidates:
        try:
            found.append(_run_candidate(config, folder, name))
        except FolderError:
            raise
        except InputError as error:
            refused[name] = error
    if not found:
        withdraw(folder)
        raise next(iter(refused.values()))
    for name, reason in refused.items():
        log.warning("front end %s is left out: %s", name, reason)
    best = max(found, key=lambda candidate: candidate.value)
    rows: list[dict[str, Any]] = [{"front_end": c.name, "val": c.value, **c.cost, "why_not": None} for c in found]
    rows += [{"front_end": name, "why_not": str(reason)} for name, reason in refused.items()]
    write_text(folder / "front_ends.csv", csv_text(COLUMNS, rows))
    copy_result(best.folder, folder)
    metrics = read_json(best.folder / "metrics.json") | {"front_end": best.name}
    own = copy.deepcopy(best.config)
    own.testing, own.compilation, own.export = config.testing, config.compilation, config.export
    data = build_data(own)
    data.setup()
    metrics = finish(own, data, folder, metrics)
    print_front_ends(rows, best.name, config.testing.metric)
    description = folder / ("genotype.json" if config.training.nas_enabled else "model.json")
    print_summary(folder, read_json(description), metrics, read_json(folder / "cost.json"))


def _run_candidate(config: Config, folder: Path, name: str) -> _Candidate:
    own = copy.deepcopy(with_features(config, name))
    own.search_features, own.testing.enable, own.compilation.enable = False, False, False
    own.export.int8 = config.selection.by == "int8"
    own.control.num_random, own.control.keep_better = 0, False
    place = folder / "front_ends" / name
    if not has_ended(place):
        with claimed(place):
            run_once(own, place)
    split, metric = judged_split(config), config.testing.metric
    value = read_as(place / "metrics.json", lambda metrics: float(metrics[split][metric]))
    return _Candidate(name, own, place, value, read_as(place / "cost.json", total_cost))
