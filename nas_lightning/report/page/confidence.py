"""What the page of a run says of its scores: how far to trust them, what is accepted, how windows decide together."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from nas_lightning.report.page.classes import ShareBar, share_bar
from nas_lightning.report.page.facts import FIGURE_NAMES, number
from nas_lightning.report.results import Confidence, Postprocess
from nas_lightning.tasks.confidence import Rejection, Share
from nas_lightning.tasks.smoothing import Smoothed

_SPLITS = {"test": "test", "test_int8": "test, int8", "val": "val", "val_int8": "val, int8"}
"""In the order of the page."""


@dataclass(frozen=True)
class RejectionRow:
    """What a threshold does on a split.

    Attributes:
        split: and whether it is the int8 network.
        accepted: the share of the samples of the classes that are accepted.
        right: of these.
        unknown: the share of the samples of no class that are accepted.
        right_of_all: the share of all that is accepted, samples of no class included, that is right.
    """

    split: str
    accepted: ShareBar
    right: ShareBar
    unknown: ShareBar
    right_of_all: ShareBar


@dataclass(frozen=True)
class WayRow:
    """A way in which windows decide together: on val, or the one that is kept on a split.

    Attributes:
        name: of the way, or of the split.
        of_windows: the metric that is asked for, over windows.
        of_recordings: the same over recordings.
        delay: windows before the first right one.
        never: recordings without one.
        is_kept: whether it is the one that is kept.
    """

    name: str
    of_windows: str
    of_recordings: str
    delay: str
    never: str
    is_kept: bool = False


def confidence_sentences(confidence: Confidence) -> Iterator[str]:
    """Temperature and threshold in words."""
    yield f"A score is the largest softmax of logits / {confidence.temperature:.4g}, a temperature fitted on val."
    if confidence.bound is not None:
        yield (
            f"That is the {confidence.bound} that is allowed; val would have it beyond, as samples do that are all "
            "right with a margin, or no better than chance."
        )
    threshold = confidence.threshold
    if threshold is None:
        yield "There is no threshold, so every window is taken for one of the classes."
    elif threshold > 1:
        yield f"No score reaches the threshold, {threshold:.4f}, so no window is accepted."
    else:
        yield f"A window is accepted from a score of {threshold:.4f} on; of others the network says no class."


def calibration_rows(confidence: Confidence) -> list[tuple[str, str, str]]:
    """Split, and the calibration error before and after."""
    errors = confidence.calibration_error
    return [(name, number(errors[key].before), number(errors[key].after)) for key, name in _of(errors)]


def rejection_rows(confidence: Confidence) -> list[RejectionRow]:
    """A row a split, where there is a threshold or a sample of no class."""
    found = confidence.rejection or {}
    return [_rejection_row(name, found[key]) for key, name in _of(found)]


def _rejection_row(name: str, found: Rejection) -> RejectionRow:
    shares = found.coverage, found.accuracy, found.unknown_accepted, _right_of_all(found)
    return RejectionRow(name, *(_bar(share) for share in shares))


def _right_of_all(found: Rejection) -> Share | None:
    """As a user sees it, who does not know what is of no class; without such samples it says nothing new."""
    if found.unknown_accepted is None:
        return None
    right, accepted = (0, 0) if found.accuracy is None else (_hits(found.accuracy), found.accuracy.samples)
    return Share.of(right, accepted + _hits(found.unknown_accepted))


def _hits(share: Share) -> int:
    return round(share.value * share.samples)


def _bar(share: Share | None) -> ShareBar:
    return share_bar(None, None) if share is None else share_bar(share.value, (share.low, share.high))


def smoothing_sentence(postprocess: Postprocess, metric: str) -> str:
    """Which way is kept."""
    if postprocess.method == "none":
        return "No way of smoothing is better on val than each window alone, so none is kept."
    kept = _way(postprocess.method, postprocess.windows)
    if len(postprocess.tried) > 2:
        return f"Kept is {kept}, which has the best {FIGURE_NAMES.get(metric, metric)} over the windows of val."
    return f"Kept is {kept}, as the settings ask for."


def tried_rows(postprocess: Postprocess, metric: str) -> list[WayRow]:
    """The ways that were tried, on val."""
    kept = postprocess.method, postprocess.windows
    return [
        _way_row(_way(each.method, each.windows), each, metric, (each.method, each.windows) == kept)
        for each in postprocess.tried
    ]


def smoothed_rows(postprocess: Postprocess, metric: str) -> list[WayRow]:
    """What is kept, by split."""
    return [_way_row(name, postprocess.splits[key], metric) for key, name in _of(postprocess.splits)]


def _way_row(name: str, found: Smoothed, metric: str, is_kept: bool = False) -> WayRow:
    delay = "-" if found.delay_windows is None else f"{found.delay_windows:g}"
    of_windows, of_recordings = (number(of.get(metric)) for of in (found.by_window, found.by_recording))
    return WayRow(name, of_windows, of_recordings, delay, f"{found.never_right:,} of {found.recordings:,}", is_kept)


def _way(method: str, windows: int) -> str:
    return "each alone" if method == "none" else f"{method} of {windows}"


def _of(found: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """The splits that there are, with their names."""
    return ((key, name) for key, name in _SPLITS.items() if key in found)
