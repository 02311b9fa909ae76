"""From recordings to the samples of a network, part by part, by the code of the training."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from nas_lightning.data.features import FrontEnd
from nas_lightning.data.preparation import Preparation
from nas_lightning.data.recordings import Recordings
from nas_lightning.data.windows import NEARLY, Pieces, Samples, Windows, pieces_of
from nas_lightning.errors import InputError, brief
from nas_lightning.export.contract import InputDescription

_BATCH = 256


@dataclass(frozen=True)
class Part:
    """Some recordings and the windows that are cut of them.

    Attributes:
        recordings: R of them.
        values: float32 ``[T, C]``, their rows at the rate of the network, less the offsets.
        samples: N of them.
        numbers: int64 ``[N]``, the place of the recording of each.
        rows: int64 ``[N]``, the row of the recording at which each begins.
        seconds: float64 ``[N]``, the same as a time, NaN where no sampling rate is known.
    """

    recordings: Recordings
    values: Tensor
    samples: Samples
    numbers: np.ndarray
    rows: np.ndarray
    seconds: np.ndarray

    def batches(self) -> Iterator[Tensor]:
        """What the network takes ``[B, C, L]``, in order."""
        for chosen in torch.arange(len(self.samples)).split(_BATCH):
            yield self.samples.__getitems__(chosen)[0]


@dataclass(frozen=True)
class Cutter:
    """Makes samples of recordings as the training did, and refuses what it would have made other samples of.

    Attributes:
        preparation: of the run.
        description: of what its network takes.
        front_end: what lies between windows and the network.
    """

    preparation: Preparation
    description: InputDescription
    front_end: FrontEnd

    def __call__(self, recordings: Recordings, sampling_rate: float | None = None) -> Part:
        """The samples of some recordings.

        Args:
            recordings: as ``collect.stream`` gives them.
            sampling_rate: Hz, of those that do not say it.

        Raises:
            InputError: naming the recording, for another sampling rate or too few rows.
        """
        framing, rates = self.preparation.framing, recordings.sampling_rates
        self._check_rates(recordings, sampling_rate)
        given = framing.sampling_rate if sampling_rate is None else sampling_rate
        rates = rates if given is None else np.where(np.isnan(rates), given, rates)
        recordings = replace(recordings, sampling_rates=rates)
        ends = recordings.lengths
        segments = np.stack([np.arange(len(ends)), np.zeros_like(ends), ends], axis=1)
        pieces = framing.pieces(recordings, segments)
        before = pieces_of(recordings, segments, ends_at_breaks=not framing.is_whole)
        self._check_lengths(recordings, pieces)
        windows = framing.windows(pieces, self.preparation.window, self.preparation.hop)
        if windows.short:
            raise self._too_short(recordings, pieces, windows.short[0])
        return self._part(recordings, before, pieces, windows)

    def _part(self, recordings: Recordings, before: Pieces, pieces: Pieces, windows: Windows) -> Part:
        """The samples, with where each begins in its recording.

        Args:
            recordings: R of them.
            before: their pieces as they are written.
            pieces: the same at the rate of the network.
            windows: of these.
        """
        framing, rates, which = self.preparation.framing, recordings.sampling_rates, windows.pieces
        numbers, starts = pieces.recordings[which], windows.starts.numpy()
        within = starts - starts[np.searchsorted(which, which)]  # from the first window of the same piece
        ratios = np.ones(len(rates))
        if framing.new_sr is not None:
            ratios = rates / framing.new_sr if framing.anti_alias else np.maximum(1, rates // framing.new_sr)
        first = before.starts[which] - recordings.starts[numbers]
        rows = first + np.rint(within * ratios[numbers]).astype(np.int64)
        return Part(recordings, pieces.values, Samples(windows, self.front_end), numbers, rows, rows / rates[numbers])

    def _check_rates(self, recordings: Recordings, given: float | None) -> None:
        """Refuse recordings at another rate than those of the training, unless it brought them to one."""
        framing, said = self.preparation.framing, self.preparation.said_rates
        rates = recordings.sampling_rates if given is None else np.append(recordings.sampling_rates, given)
        expected = self.description.sampling_rate
        if framing.new_sr is not None and framing.sampling_rate is None:
            low, high, what = framing.new_sr, np.inf, f"{framing.new_sr:g} Hz or more, which is brought to that"
        elif said is not None:
            low, high = said
            what = f"{low:g} Hz" if low == high else f"{low:g} to {high:g} Hz"
        elif (known := framing.sampling_rate or expected) is not None:
            low, high, what = known, known, f"{known:g} Hz"
        else:
            return
        with np.errstate(invalid="ignore"):
            wrong = np.flatnonzero((rates < low / NEARLY) | (rates > high * NEARLY))
        if len(wrong):
            name = recordings.names[wrong[0]] if wrong[0] < len(recordings) else "what was given"
            raise InputError(
                f"{recordings.source}: {brief(name)} has a sampling rate of {rates[wrong[0]]:g} Hz; the network was "
                f"trained on {what}"
            )

    def _check_lengths(self, recordings: Recordings, pieces: Pieces) -> None:
        """Where a sample is a whole recording, refuse another length than that of the training."""
        framing, window = self.preparation.framing, self.preparation.window
        if not framing.is_whole:
            return
        lengths = pieces.stops - pieces.starts
        most = NEARLY * window + 1 if framing.new_sr is not None else window
        wrong = np.flatnonzero((lengths < window) | (lengths > most))
        if len(wrong):
            name, length = recordings.names[pieces.recordings[wrong[0]]], int(lengths[wrong[0]])
            says_label = length == window - 1 and recordings.source.lower().endswith((".tsv", ".csv"))
            raise InputError(
                f"{recordings.source}: {brief(name)} has {length} rows; the network takes whole recordings of {window} "
                "rows; one that was trained with `frame_size` cuts them into windows"
                + "; where a line has no label, `columns.label`=null says so"
                * says_label
            )

    def _too_short(self, recordings: Recordings, pieces: Pieces, number: int) -> InputError:
        rows = int((pieces.stops - pieces.starts)[pieces.recordings == number].max())
        return InputError(
            f"{recordings.source}: {brief(recordings.names[number])} has {rows} rows in a row; the network takes "
            f"windows of {self.preparation.window}, and was trained without `keep_short_tails`=true, which fills up"
        )
