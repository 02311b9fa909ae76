"""The smallest network that is good enough: runs within ever smaller budgets (``target_accuracy``)."""

import logging
import math
from dataclasses import dataclass
from pathlib import Path

from nas_lightning.config.records import Config
from nas_lightning.cost.budget import milliseconds
from nas_lightning.data.protocol import SearchData
from nas_lightning.errors import InputError
from nas_lightning.files import has_ended, read_record, write_text
from nas_lightning.report.costs import CostReport
from nas_lightning.report.pictures import tradeoff_picture
from nas_lightning.report.results import RunMetrics, RunResult
from nas_lightning.report.tables import csv_text
from nas_lightning.runs.build import build_budget
from nas_lightning.runs.checks import MODES
from nas_lightning.runs.claim import begin, claimed, withdraw
from nas_lightning.runs.context import Run
from nas_lightning.runs.finish import finish_kept, judged_split, one_of_several
from nas_lightning.runs.folder import copy_result, read_value
from nas_lightning.runs.pipeline import check_start
from nas_lightning.runs.pipeline import run as run_once

log = logging.getLogger("nas_lightning")

_CLOSE = 1.05  # limits nearer to each other than this factor are not told apart


def run(config: Config, folder: Path, data: SearchData | None = None) -> RunResult:
    """Find the smallest network that reaches ``target_accuracy``, and leave it in ``folder``.

    The first run is followed by up to ``target_rounds`` others, each within a smaller or larger limit on what the
    optimization mode names (a bisection on a logarithmic scale) and each searched from the supernet that the run before
    left. The smallest network that reaches the target on ``val`` is the result, and the only one tested.
    Every round is a run folder below ``rounds``; ``tradeoff.csv`` and ``tradeoff.png`` show them all.

    Args:
        config: the configuration; ``target_accuracy`` is set.
        folder: the run folder.
        data: used instead of what the configuration names.

    Raises:
        InputError: as ``pipeline.run``; or if not even the first run reaches the target.
    """
    data = check_start(config, folder, data)
    folder.mkdir(parents=True, exist_ok=True)
    begin(folder, config, data)
    descent = _Descent(config, folder, data)
    best = descent.walk()
    copy_result(best.folder, folder)
    return finish_kept(Run(config, data, folder), read_record(best.folder / "metrics.json", RunMetrics))


@dataclass(frozen=True)
class _Round:
    folder: Path
    limit: int | None
    cost: dict[str, int]
    value: float


class _Descent:
    """The rounds of one ``target_accuracy``; a round that ended is not run again."""

    def __init__(self, config: Config, folder: Path, data: SearchData) -> None:
        assert config.target_accuracy is not None  # nosec B101 # for mypy: runs.run asks
        self.config, self.folder, self.data, self.target = config, folder, data, config.target_accuracy
        self.measure = MODES[config.training.nas_optimization_mode.lower()]
        self.split, self.metric = judged_split(config), data.task.monitor
        self.rounds: list[_Round] = []

    def walk(self) -> _Round:
        """Run all rounds and return the one with the smallest network that reaches the target."""
        best = self._round(build_budget(self.config).get(self.measure))
        if best.value < self.target:
            raise InputError(
                f"target_accuracy: found {self.target}; the first network reaches {best.value:.4f} on val "
                f"({best.folder}); allow more by a larger nas_model_size, a larger budget or more epochs"
            )
        failed = self._smallest_possible() - 1  # the largest limit that is known, or taken, to be too small
        for _ in range(self.config.target_rounds):
            reached = best.cost[self.measure]
            limit = int(math.sqrt(max(failed, 1) * reached))
            if limit <= failed or reached <= _CLOSE * failed:
                break
            found = self._round(limit)
            if found.value >= self.target:
                best = found
            else:
                failed = limit
        log.info("smallest: %s %d in %s", self.measure, best.cost[self.measure], best.folder)
        return best

    def _round(self, limit: int | None) -> _Round:
        folder, config = self.folder / "rounds" / str(len(self.rounds)), self._config_of(limit)
        if not has_ended(folder):
            warm_start = self.rounds[-1].folder / "checkpoints" if self.rounds else None
            try:
                with claimed(folder):
                    run_once(config, folder, self.data, warm_start=warm_start)
            except InputError:
                if not (self.rounds or (folder / "config.yaml").is_file()):  # refused before anything was written
                    withdraw(self.folder)
                raise
        cost, value = read_record(folder / "cost.json", CostReport).total, read_value(folder, self.split, self.metric)
        self.rounds.append(_Round(folder, limit, cost, value))
        self._write_curve()
        return self.rounds[-1]

    def _config_of(self, limit: int | None) -> Config:
        """The configuration of a round within a limit; None for no other than those that are configured."""
        values: dict[str, object] = {"target_accuracy": None, "testing.metric": self.metric}  # the target is one of it
        values |= {"selection.score": "metric"}
        if self.measure != "instructions":
            values |= {f"budget.{self.measure}": limit}
        elif limit is not None:
            assert self.config.device.clock_mhz is not None  # nosec B101 # for mypy: check_config asks
            # Half an instruction more, because rounding must not take the last one away.
            values |= {"budget.latency_ms": milliseconds(limit + 0.5, self.config.device.clock_mhz)}
        return one_of_several(self.config, values, 1 + self.config.target_rounds)

    def _smallest_possible(self) -> int:
        whole = Run(self.config, self.data, self.folder)
        found = whole.space.least(self.measure, whole.limits)
        assert found is not None  # nosec B101 # for mypy: the first round met these limits
        return found + getattr(self.data.front_end_cost, self.measure, 0)

    def _write_curve(self) -> None:
        rows = [
            {"round": i, "limit": r.limit, **r.cost, f"val_{self.metric}": r.value, "reached": r.value >= self.target}
            for i, r in enumerate(self.rounds)
        ]
        write_text(self.folder / "tradeoff.csv", csv_text(list(rows[0]), rows))
        points = [(r.cost[self.measure], r.value) for r in self.rounds]
        tradeoff_picture(points, self.measure, self.target).savefig(self.folder / "tradeoff.png")
