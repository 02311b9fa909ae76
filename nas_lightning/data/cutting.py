"""From the segments of the splits to their samples, those of no class apart."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nas_lightning.data.annotations import SPLITS
from nas_lightning.data.augment import Augmentation
from nas_lightning.data.features import FrontEnd
from nas_lightning.data.preparation import Framing
from nas_lightning.data.recordings import Recordings
from nas_lightning.data.splits import Segments
from nas_lightning.data.windows import UNKNOWN_SPLITS, Pieces, Samples, common_length, left_out, unknown_notes
from nas_lightning.errors import InputError


@dataclass(frozen=True)
class Cut:
    """What was cut.

    Attributes:
        splits: samples of the classes, by split.
        unknown: samples of no class, of the splits that have some.
        notes: what a user should know, one sentence each.
    """

    splits: Mapping[str, Samples]
    unknown: Mapping[str, Samples]
    notes: tuple[str, ...]


def cut_splits(
    recordings: Recordings,
    segments: Segments,
    framing: Framing,
    front_end: FrontEnd,
    augmentation: Augmentation | None = None,
) -> Cut:
    """Samples of all splits, of as many rows each.

    Args:
        recordings: R recordings.
        segments: of these, by split.
        framing: how windows are cut.
        front_end: says how many rows a sample has; 0 for a whole recording.
        augmentation: of the train split.

    Raises:
        InputError: if recordings that are to be whole samples differ in length, nothing is left of a split, or the
            augmentation changes the length.
    """

    def pieces_of(split: str, is_unknown: bool) -> Pieces:
        own = segments[split]
        return framing.pieces(recordings, own[recordings.are_unknown(own[:, 0]) == is_unknown])

    pieces = {split: pieces_of(split, False) for split in SPLITS}
    unknown = {split: pieces_of(split, True) for split in UNKNOWN_SPLITS if _has_unknown(recordings, segments[split])}
    rows, notes = front_end.rows, list[str]()
    if not rows:
        rate = framing.rate(recordings.sampling_rates)
        rows, notes = common_length([*pieces.values(), *unknown.values()], framing.new_sr, recordings.source, rate)
    if augmentation is not None and (length := augmentation.new_length(rows)) != rows:
        raise InputError(f"augmentation: makes {length} rows of a sample of {rows}; allowed: the same number")

    def samples_of(split: str, own: Pieces) -> Samples:
        windows = framing.windows(own, rows, front_end.hop or rows)
        notes.extend(left_out(recordings, own, windows, split))
        return Samples(windows, front_end)

    splits = {split: samples_of(split, own) for split, own in pieces.items()}
    others = {split: samples_of(split, own) for split, own in unknown.items()}
    return Cut(splits, others, (*notes, *unknown_notes(recordings, others)))


def _has_unknown(recordings: Recordings, segments: np.ndarray) -> bool:
    return bool(recordings.are_unknown(segments[:, 0]).any())
