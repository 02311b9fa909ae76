"""What is decided by the scores of the network that is kept; val sets it, and its figures are of all splits."""

import itertools
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from torch import Tensor

from nas_lightning.config.records import Config
from nas_lightning.data.protocol import Recorded, SearchData
from nas_lightning.errors import InputError
from nas_lightning.report.alarms import REMEDY
from nas_lightning.report.results import Confidence, Postprocess, RunMetrics
from nas_lightning.runs.context import Run
from nas_lightning.tasks.confidence import (
    LEAST_TEMPERATURE,
    MOST_TEMPERATURE,
    Answers,
    calibration_error,
    fit_temperature,
    rejection,
    threshold_for_coverage,
    threshold_for_false_accept,
)
from nas_lightning.tasks.decisions import Decision, Smoothing
from nas_lightning.tasks.smoothing import begins_of, best_way, smoothed_figures, ways

log = logging.getLogger("nas_lightning")

Outputs = Callable[[Iterable[tuple[Tensor, Tensor]]], Tensor]
"""Batches in, outputs ``[N, K]`` out."""


def check_decisions(config: Config, data: SearchData) -> None:
    """Refuse what these data do not allow.

    Raises:
        InputError: naming the key.
    """
    asked = _asked(config)
    if asked is not None and not data.task.decides:
        raise InputError(
            f"{asked}: needs outputs of which the largest is chosen; allowed: null or none with these data"
        )
    recorded = data if isinstance(data, Recorded) else None
    if config.dataset.unknown is not None and recorded is None:
        raise InputError("dataset.unknown: needs data that know recordings; allowed: null with these")
    if config.reject.false_accept is not None and (recorded is None or not _has_any(recorded.unknown_batches("val"))):
        raise InputError(
            f"reject.false_accept: val has no sample of dataset.unknown={config.dataset.unknown}; allowed: null, or "
            "more such recordings"
        )
    if config.postprocess.method != "none" and (recorded is None or recorded.recordings_of("val") is None):
        raise InputError(
            f"postprocess.method: found {config.postprocess.method}; allowed: none, because in these splits samples "
            "of one recording do not follow each other"
        )


def _asked(config: Config) -> str | None:
    """The first key that asks for a decision."""
    reject = config.reject
    asked = {"reject.false_accept": reject.false_accept is not None, "reject.coverage": reject.coverage is not None}
    asked["postprocess.method"] = config.postprocess.method != "none"
    return next((key for key, is_asked in asked.items() if is_asked), None)


def _has_any(batches: Iterable[object]) -> bool:
    return next(iter(batches), None) is not None


def answers_of(run: Run, split: str, outputs: Tensor, target: Tensor, of: Outputs) -> Answers:
    """What a network gives on a split, with what it gives on samples of no class.

    Args:
        run: with the data.
        split: ``val`` or ``test``.
        outputs: of its samples ``[N, K]``.
        target: theirs ``[N]``.
        of: the network.
    """
    logits, recordings = outputs.float().numpy(), None
    unknown = np.empty((0, logits.shape[1]), np.float32)
    if isinstance(run.data, Recorded):
        recordings, batches = run.data.recordings_of(split), iter(run.data.unknown_batches(split))
        for first in itertools.islice(batches, 1):
            unknown = of(itertools.chain([first], batches)).float().numpy()
    return Answers(logits=logits, target=target.numpy(), unknown=unknown, recordings=recordings)


def decide(run: Run, metrics: RunMetrics, val: Answers) -> tuple[Decision, RunMetrics]:
    """Set temperature, threshold and smoothing by val, and say so in the sections of ``metrics.json``."""
    fitted = fit_temperature(val, run.task.outputs.words)
    for doubt in fitted.doubts:
        log.warning("confidence: %s", doubt)
    if fitted.bound is not None:
        log.warning(
            "confidence: the temperature is %g, the %s of %g to %g: val would have it beyond, as samples do that are "
            "all right with a margin, or no better than chance",
            *(fitted.value, fitted.bound, LEAST_TEMPERATURE, MOST_TEMPERATURE),
        )
    decision = Decision(fitted.value, _threshold(run.config, Decision(fitted.value), val))
    rejects = decision.threshold is not None
    confidence = Confidence(
        temperature=fitted.value,
        bound=fitted.bound,
        threshold=decision.threshold,
        calibration_error={},
        rejection={} if rejects or run.config.dataset.unknown is not None else None,
    )
    metrics = replace(metrics, confidence=confidence)
    if run.config.postprocess.method == "none":
        return decision, metrics
    return _smoothing(run, metrics, decision, val)


def _threshold(config: Config, decision: Decision, val: Answers) -> float | None:
    reject = config.reject
    if reject.coverage is not None:
        return threshold_for_coverage(decision.scores(val.logits), reject.coverage)
    if reject.false_accept is None:
        return None
    found = threshold_for_false_accept(decision.scores(val.unknown), reject.false_accept)
    if found > 1:
        log.warning(
            "reject.false_accept: samples of %s on val have a score of 1, so that no window is accepted at all; %s",
            *(config.dataset.unknown, REMEDY),
        )
    return found


def _smoothing(run: Run, metrics: RunMetrics, decision: Decision, val: Answers) -> tuple[Decision, RunMetrics]:
    assert val.recordings is not None  # nosec B101 # for mypy: check_decisions asks
    settings = run.config.postprocess
    if begins_of(val.recordings).all():
        log.warning(
            "postprocess.method: every recording of val is one window, so nothing can be smoothed; it is left off"
        )
        return decision, metrics
    if settings.method == "auto":
        candidates: Sequence[Decision] = ways(decision, settings.auto_windows)
    else:
        smoothing = Smoothing(settings.method, settings.windows)  # type: ignore[arg-type] # runs.checks asks
        candidates = [decision, replace(decision, smoothing=smoothing)]
    tried = [smoothed_figures(val, each) for each in candidates]
    kept = best_way(tried, run.config.testing.metric) if settings.method == "auto" else 1
    found = tried[kept]
    log.info("postprocess: %s of %d windows", found.method, found.windows)
    section = Postprocess(method=found.method, windows=found.windows, tried=tuple(tried), splits={})
    return candidates[kept], replace(metrics, postprocess=section)


def judged(metrics: RunMetrics, decision: Decision, answers: Mapping[str, Answers]) -> RunMetrics:
    """The same with the figures of a decision on some splits, by their names in ``metrics.json``."""
    if metrics.confidence is None:
        return metrics
    confidence, postprocess = metrics.confidence, metrics.postprocess
    errors = {split: calibration_error(each, decision.temperature) for split, each in answers.items()}
    confidence = replace(confidence, calibration_error=confidence.calibration_error | errors)
    if confidence.rejection is not None:
        found = {split: rejection(each, decision) for split, each in answers.items()}
        confidence = replace(confidence, rejection=confidence.rejection | found)
    if postprocess is not None:
        figures = {
            split: smoothed_figures(each, decision) for split, each in answers.items() if each.recordings is not None
        }
        postprocess = replace(postprocess, splits=postprocess.splits | figures)
    return replace(metrics, confidence=confidence, postprocess=postprocess)
