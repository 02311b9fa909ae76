"""What a model card says class by class, of scores, and of what is of no class."""

from collections.abc import Iterator

from nas_lightning.report.markdown import escaped, table
from nas_lightning.report.results import RunMetrics


def class_paragraphs(metrics: RunMetrics, most: int) -> Iterator[str]:
    """Each class of the split that was tested; of more than ``most`` those with the smallest F1."""
    details = metrics.details(metrics.tested)
    if details is None:
        return
    found = list(details.classes)
    if len(found) > most:
        found = sorted(found, key=lambda each: -1.0 if each.f1 is None else each.f1)[:most]
    rows = [
        (
            escaped(each.name),
            f"{each.samples:,}",
            _figure(each.recall, each.recall_interval),
            _figure(each.precision, each.precision_interval),
            _figure(each.f1, each.f1_interval),
        )
        for each in found
    ]
    count = len(details.classes)
    of = f" The {len(rows)} of {count:,} classes with the smallest F1." if len(rows) < count else ""
    yield (
        f"Class by class on `{metrics.tested}`, with 95 % intervals that take {details.unit} as independent, of "
        f"which there are {details.units:,}.{of}"
    )
    yield table(("class", "samples", "recall", "precision", "F1"), rows)


def _figure(value: float | None, ends: tuple[float, float] | None) -> str:
    return "-" if value is None or ends is None else f"{value:.3f} ({ends[0]:.2f} to {ends[1]:.2f})"


def score_paragraphs(metrics: RunMetrics) -> Iterator[str]:
    """Temperature, calibration and smoothing."""
    found = metrics.confidence
    error = None if found is None else found.calibration_error.get(metrics.tested)
    if found is None or error is None:
        return
    yield "## Scores"
    yield (
        f"Scores are the softmax of logits / {found.temperature:.4g}, a temperature fitted on `val`. The expected "
        f"calibration error on `{metrics.tested}` is {error.after:.3f}, and {error.before:.3f} at temperature 1."
    )
    smoothing = metrics.postprocess
    if smoothing is not None and smoothing.method != "none":
        yield f"Decisions are smoothed: {escaped(smoothing.method)} of {smoothing.windows:,} successive windows."


def sentence_of_no_class(metrics: RunMetrics, threshold: float | None) -> str:
    """What it says of a window that is of none of its classes."""
    confidence = metrics.confidence
    if threshold is None:
        return "It names one of its classes for every window, also for one that is of none of them."
    said = f"It names no class for a window whose score is below {threshold:.4g}"
    found = (confidence.rejection or {}).get(metrics.tested) if confidence is not None else None
    if found is None or found.coverage is None:
        return f"{said}. What that does was not measured."
    said += f"; on `{metrics.tested}` that is {_share(1 - found.coverage.value)} of the windows of its classes"
    if found.unknown_accepted is None:
        return f"{said}. How many windows of no class it takes for one of its classes was not measured."
    ends = f"{_share(found.unknown_accepted.low)} to {_share(found.unknown_accepted.high)}"
    return (
        f"{said}. Of {found.unknown_accepted.samples:,} windows of no class it still takes "
        f"{_share(found.unknown_accepted.value)} for one of its classes (95 %: {ends}); others than those that were "
        "recorded it may take more often."
    )


def _share(value: float) -> str:
    return f"{100 * value:.1f} %"
