"""How samples are made of recordings: the same code for training and for whoever uses the network afterwards."""

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from msgspec import Meta

from nas_lightning.data.reading import Reading
from nas_lightning.data.recordings import Recordings
from nas_lightning.data.windows import Pieces, Windows, check_rate, common_rate, cut, pad, pieces_of, resample

FILE = "preparation.json"
"""The file of a run that holds its ``Preparation``."""


@dataclass(frozen=True)
class Framing:
    """From rows of recordings to windows.

    Attributes:
        sampling_rate: Hz, of recordings that do not say it; where it is given, what they say is not looked at.
        new_sr: Hz that they are brought to; None leaves them.
        anti_alias: whether a filter goes before.
        keep_short_tails: whether the rest of a recording is a window too, filled up with zeros.
        is_whole: whether a sample is a whole recording.
    """

    sampling_rate: float | None = None
    new_sr: float | None = None
    anti_alias: bool = True
    keep_short_tails: bool = False
    is_whole: bool = False

    def rate(self, rates: np.ndarray) -> float | None:
        """Rows a second of the windows of recordings of these rates; None if it is not known."""
        return common_rate(check_rate(rates, self.sampling_rate, self.new_sr), self.new_sr, self.anti_alias)

    def pieces(self, recordings: Recordings, segments: np.ndarray) -> Pieces:
        """The rows of segments ``[S, 3]`` at the new rate; those that are cut end where time does not go on.

        Raises:
            InputError: if rates are needed and not known, or differ although nothing makes them equal.
        """
        pieces = pieces_of(recordings, segments, ends_at_breaks=not self.is_whole)
        rates = check_rate(recordings.sampling_rates[pieces.recordings], self.sampling_rate, self.new_sr)
        return pieces if self.new_sr is None else resample(pieces, rates, self.new_sr, self.anti_alias)

    def windows(self, pieces: Pieces, rows: int, hop: int) -> Windows:
        """Windows of ``rows`` rows that begin ``hop`` rows apart."""
        return cut(pad(pieces, rows, hop) if self.keep_short_tails else pieces, rows, hop)


def span(rates: np.ndarray) -> tuple[float, float] | None:
    """The least and the largest rate of recordings that say theirs; None if none does."""
    known = rates[~np.isnan(rates)]
    return (float(known.min()), float(known.max())) if len(known) else None


@dataclass(frozen=True)
class Preparation:
    """All that stands between the files of recordings and the samples of a run.

    Attributes:
        front_end: the arguments of ``FrontEnd``.
        framing: how windows are cut.
        window: rows of a sample.
        hop: rows from the beginning of a sample to that of the next one.
        reading: how the recordings of the training are written, with the channels that were chosen.
        missing: what is done about missing values, one of ``values.MISSING_POLICIES``.
        group_pattern: finds the group in a recording's name.
        said_rates: the least and the largest sampling rate that these recordings said; None if they said none.
    """

    front_end: dict[str, Any]
    framing: Framing
    window: Annotated[int, Meta(ge=1, lt=1 << 26)]
    hop: Annotated[int, Meta(ge=1, lt=1 << 26)]
    reading: Reading
    missing: str = "error"
    group_pattern: str | None = None
    said_rates: tuple[float, float] | None = None
