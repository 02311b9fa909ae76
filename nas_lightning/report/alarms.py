"""What a run must say before all else: a decision that rejects nearly all there is."""

from nas_lightning.report.results import RunMetrics

_NEARLY_NONE = 0.05
"""A share of accepted windows that is no larger is an alarm."""

_NAMES = {"test": "test", "test_int8": "test (int8)", "val": "val", "val_int8": "val (int8)"}

REMEDY = (
    "a larger reject.false_accept or reject.coverage accepts more; or take dataset.unknown away, so that its "
    "recordings are a class of their own"
)
"""What helps where a threshold accepts too little."""


def rejecting(metrics: RunMetrics) -> str | None:
    """That the threshold rejects all or nearly all windows of the classes on a split, why, and what helps.

    Returns:
        a sentence without a full stop; None where more is accepted, or nothing rejected.
    """
    confidence = metrics.confidence
    if confidence is None or confidence.threshold is None:
        return None
    shares = {name: (confidence.rejection or {}).get(split) for split, name in _NAMES.items()}
    found = [
        f"{1 - each.coverage.value:.1%} of the {each.coverage.samples:,} windows of {name}"
        for name, each in shares.items()
        if each is not None and each.coverage is not None and each.coverage.value <= _NEARLY_NONE
    ]
    if not found:
        return None
    if confidence.threshold > 1:
        reason = "windows of no class on val have a score of 1, so the threshold is above every score"
    else:
        reason = f"the threshold is {confidence.threshold:.4f}, which few scores reach"
    return f"the decision rejects {', '.join(found)}: {reason}; {REMEDY}"
