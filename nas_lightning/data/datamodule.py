"""The DataModule: recordings in, batches ``(x [B, C, L] float32, y [B] int64)`` out."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import lightning as L
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, DistributedSampler, Sampler

from nas_lightning.data.annotations import FOLDER, SPLITS, read_lists, write_lists
from nas_lightning.data.augment import Augmentation
from nas_lightning.data.doubts import doubtful_channels
from nas_lightning.data.features import FrontEnd, FrontEndCost
from nas_lightning.data.made import MakeSource, source_of_arrays, source_of_frame
from nas_lightning.data.readers import open_source
from nas_lightning.data.reading import Reading
from nas_lightning.data.recordings import Recordings, collect, give_back
from nas_lightning.data.splits import (
    Segments,
    check_splits,
    complete_factors,
    from_lists,
    make_splits,
    report,
    to_lists,
)
from nas_lightning.data.windows import NEARLY, Pieces, Samples, check_rate, cut, pad, pieces_of, resample
from nas_lightning.errors import InputError
from nas_lightning.files import write_json

_SECTION = "data_processing_feature_extraction"
_CHUNK_VALUES = 1 << 22
_MOST_MOVED = 1e-3
_MEASURED = 256  # samples per batch where nothing is trained


class TimeSeriesData(L.LightningDataModule):
    """Splits, constants and loaders of one data set.

    After ``setup``: ``task_shape`` ``(channels, length, classes)`` of what the network sees, ``class_names``, ``mean``
    and ``std`` [C] of the train split, the ``recordings`` and their ``segments`` by split, ``decisions``: how the
    source was read where nothing was said, and ``notes``: what a user should know, one sentence each. Batches
    come from the front end; the network normalises.

    Args:
        name: a UCR/UEA data set, read if ``path`` is None.
        path: a file or a folder, see ``readers.open_source``.
        front_end: from raw rows to the network's input; by default the recordings as they are.
        augmentation: of the train split; by default none.
        variables: the channels to keep; None for all.
        missing: what is done about missing values, one of ``values.MISSING_POLICIES``.
        group_pattern: finds the group in a recording's name.
        columns: the names of the columns of a table, by role.
        split_type: one of ``splits.SPLIT_TYPES``.
        split_factor: shares of train, val and test, or the first of them.
        annotations: a folder of lists that say what is in which split; then nothing is drawn.
        sampling_rate: Hz, of recordings that do not say it.
        new_sr: Hz that the recordings are brought to; None leaves them.
        anti_alias: whether a filter goes before.
        keep_short_tails: whether the rest of a recording is a sample too, filled up with zeros.
        batch_size: samples per batch of training; the last batch of an epoch may be smaller. Where a network is only
            measured, batches have up to 256, because small ones cost nearly as much time each.
        seed: of the split, the order of batches and the augmentation.
        reading: what is known of the way in which the source is written; ``columns`` and ``variables`` are those above.

    Raises:
        InputError: from ``setup``, for data that cannot be used.
    """

    def __init__(
        self,
        name: str | None = "BasicMotions",
        path: str | None = None,
        front_end: FrontEnd | None = None,
        augmentation: Augmentation | None = None,
        variables: Any = None,
        missing: str = "error",
        group_pattern: str | None = None,
        columns: Mapping[str, str] | None = None,
        split_type: str = "auto",
        split_factor: float | Sequence[float] = (0.6, 0.2, 0.2),
        annotations: str | None = None,
        sampling_rate: float | None = None,
        new_sr: float | None = None,
        anti_alias: bool = True,
        keep_short_tails: bool = False,
        batch_size: int = 16,
        seed: int = 0,
        reading: Reading | None = None,
    ) -> None:
        super().__init__()
        self.name, self.path, self.variables, self.missing = name, path, variables, missing
        self.group_pattern, self.columns = group_pattern, columns
        self.split_type, self.split_factor, self.annotations = split_type, complete_factors(split_factor), annotations
        self.sampling_rate, self.new_sr, self.anti_alias = sampling_rate, new_sr, anti_alias
        self.keep_short_tails, self.batch_size, self.seed = keep_short_tails, batch_size, seed
        self.front_end = FrontEnd() if front_end is None else front_end
        self.augmentation = augmentation if augmentation is not None and augmentation.augmenters else None
        self.splits: dict[str, Samples] = {}
        self.reading = reading or Reading()
        self.decisions: list[str] = []
        self.notes: list[str] = []
        self._make_source: MakeSource | None = None

    @classmethod
    def from_arrays(
        cls,
        X: Any,
        y: Any,
        *,
        X_val: Any = None,
        y_val: Any = None,
        X_test: Any = None,
        y_test: Any = None,
        groups: Any = None,
        groups_val: Any = None,
        groups_test: Any = None,
        channels: Sequence[str] | None = None,
        class_names: Sequence[str] | None = None,
        axes: str | None = None,
        **options: Any,
    ) -> Self:
        """Data from arrays of a program, with the same checks and splits as files.

        Args:
            X: ``[N, channels, length]``, or ``[N, length]`` of one channel, or a list of arrays ``[channels, length]``
                or ``[length]`` that may differ in length; NumPy arrays, tensors, or what NumPy makes an array of.
            y: N labels: strings, whole numbers, booleans, or one-hot.
            X_val: series of a val split that is not drawn; ``y_val`` belongs to it.
            y_val: its labels.
            X_test: series of a test split that is not drawn; ``y_test`` belongs to it.
            y_test: its labels.
            groups: of ``X``, N names or whole numbers; recordings of one stay together.
            groups_val: of ``X_val``.
            groups_test: of ``X_test``.
            channels: names of the channels, which ``variables`` can choose by.
            class_names: names of the labels in increasing order; or the labels, in another order.
            axes: ``channels_first`` as above, or ``time_first``: the last two axes are the other way round.
            **options: arguments of the class other than ``name`` and ``path``.

        Raises:
            InputError: naming the argument, what was found and what is allowed.
        """
        data = cls("arrays", None, **options)
        data._make_source = source_of_arrays(
            x={"": X, "_val": X_val, "_test": X_test},
            y={"": y, "_val": y_val, "_test": y_test},
            groups={"": groups, "_val": groups_val, "_test": groups_test},
            channels=channels,
            class_names=class_names,
            axes=axes,
        )
        return data

    @classmethod
    def from_frame(cls, frame: Any, **options: Any) -> Self:
        """Data from a long table of pandas or polars, which is read as a table file is.

        Args:
            frame: columns ``recording``, ``label`` and variables; ``columns`` gives other names.
            **options: arguments of the class other than ``name`` and ``path``.

        Raises:
            InputError: from ``setup``, for a table that cannot be used.
        """
        data = cls("the table", None, **options)
        data._make_source = source_of_frame(frame)
        return data

    def setup(self, stage: str | None = None) -> None:
        """Read and split, once."""
        if self.splits:
            return
        reading = self._reading()
        source = self._make_source(reading) if self._make_source else open_source(self.name, self.path, reading)
        self.recordings = collect(source, self.variables, self.missing, self.group_pattern, reading)
        self.decisions = [*source.findings.decisions, *self._rate_decision()]
        self.notes += source.findings.warnings + doubtful_channels(self.recordings)
        if len(self.recordings.breaks) and not self.front_end.rows:
            self.notes.append(
                f"a sample is a whole recording, pauses included; {_SECTION}.frame_size ends windows there"
            )
        self.segments = self._segments(self.recordings)
        self.notes += check_splits(self.recordings, self.segments)
        pieces = {split: self._pieces(split) for split in SPLITS}
        rows = self.front_end.rows or self._common_length(pieces)
        if self.augmentation is not None and (length := self.augmentation.new_length(rows)) != rows:
            raise InputError(f"augmentation: makes {length} rows of a sample of {rows}; allowed: the same number")
        splits = {split: self._samples(split, pieces[split], rows) for split in SPLITS}
        if self.batch_size > len(splits["train"]):
            raise InputError(
                f"training.batch_size: {self.batch_size} is larger than the train split of "
                f"{self.path or self.name}; allowed: 1 to {len(splits['train'])}"
            )
        self.class_names = self.recordings.class_names
        self.mean, self.std = channel_constants(splits["train"])
        if not (self.mean.isfinite().all() and self.std.isfinite().all()):
            raise InputError(
                f"{_SECTION}: {', '.join(['scale', *self.front_end.names])} give values of the train split that are "
                "NaN or infinite; allowed: what keeps them finite"
            )
        self._check_whole_numbers()
        x, _ = splits["train"][0]
        self.task_shape = (x.shape[0], x.shape[1], len(self.class_names))
        self.splits = splits

    def _reading(self) -> Reading:
        return replace(self.reading, columns=self.columns or {}, variables=self.variables)

    def _check_whole_numbers(self) -> None:
        """Fixed-point steps round what they get: values between -1 and 1 would all become 0 or 1."""
        names = self.front_end.names
        if {"FFT_Q15", "PIR_FE_Q15"} & set(names) and "TO_Q15" not in names:
            least, most = (float(value) for value in self.recordings.values.aminmax())  # without a copy of all
            largest = max(-least, most) / abs(self.front_end.scale or 1)
            if largest <= 1:
                raise InputError(
                    f"{_SECTION}.feat_ext_transform: {names[0]} takes whole numbers, and those of "
                    f"{self.recordings.source} lie within -{largest:g} and {largest:g}; allowed: TO_Q15 before it, or "
                    "another scale"
                )

    @property
    def rate(self) -> float | None:
        """Rows a second of the samples; None if it is not known."""
        rates = check_rate(self.recordings.sampling_rates, self.sampling_rate, self.new_sr)
        known = rates[~np.isnan(rates)]
        if not len(known):
            return None
        rate = float(np.median(known))
        if self.new_sr is None:
            return rate
        return self.new_sr if self.anti_alias else rate / max(1, int(rate // self.new_sr))  # every k-th row was kept

    @property
    def class_counts(self) -> Tensor:
        """Samples of each class in ``train``, ``[K]``."""
        return self.splits["train"].labels.bincount(minlength=len(self.class_names))

    @property
    def front_end_cost(self) -> FrontEndCost:
        """What the front end takes on the device."""
        return self.front_end.cost(self.recordings.values.shape[1])

    def _segments(self, recordings: Recordings) -> Segments:
        lists, source = recordings.lists, recordings.source
        if self.annotations is not None:
            source = self.annotations
            lists = read_lists(Path(source), source)
            if lists is None:
                raise InputError(
                    f"dataset.annotations: {source} has no lists of {', '.join(SPLITS)}; allowed: a folder with files "
                    "named *train*_list.txt, *val*_list.txt and *test*_list.txt, or null"
                )
        if lists is not None:
            if self.split_type != "auto":
                self.notes.append(f"the lists of {source} decide the splits; dataset.split_type is not looked at")
            return from_lists(recordings, lists, source)
        rows = self.front_end.rows if self.front_end.hop >= self.front_end.rows else 0
        if self.new_sr is not None:
            rates = check_rate(recordings.sampling_rates, self.sampling_rate, self.new_sr)
            rows = math.ceil(rows * float(rates.max()) / self.new_sr)
        return make_splits(recordings, self.split_type, self.split_factor, self.seed, rows)

    def _rate_decision(self) -> list[str]:
        """What the recordings say of their sampling rate, where the user says nothing."""
        rates = self.recordings.sampling_rates
        if self.sampling_rate is not None:
            return []
        known = rates[~np.isnan(rates)]
        if not len(known):
            return [f"the recordings do not say their sampling rate [{_SECTION}.sampling_rate]"]
        span = f"{known.min():.6g}" if known.min() == known.max() else f"{known.min():.6g} to {known.max():.6g}"
        of = "" if len(known) == len(rates) else f" of {len(known):,} of {len(rates):,} recordings"
        return [f"the sampling rate{of} is {span} Hz [{_SECTION}.sampling_rate]"]

    def _pieces(self, split: str) -> Pieces:
        """The rows of a split at the new rate; those of a recording end where time does not go on, if it is cut."""
        pieces = pieces_of(self.recordings, self.segments[split], ends_at_breaks=bool(self.front_end.rows))
        rates = check_rate(self.recordings.sampling_rates[pieces.recordings], self.sampling_rate, self.new_sr)
        return pieces if self.new_sr is None else resample(pieces, rates, self.new_sr, self.anti_alias)

    def _common_length(self, pieces: Mapping[str, Pieces]) -> int:
        lengths = np.concatenate([piece.stops - piece.starts for piece in pieces.values()])
        least, most = int(lengths.min()), int(lengths.max())
        if least < most and self.new_sr is not None and most <= NEARLY * least + 1:
            self.notes.append(
                f"the recordings have {least} to {most} rows at {self.new_sr:g} Hz; the first {least} count"
            )
        elif least < most:
            raise InputError(
                f"{self.recordings.source}: the recordings have from {least} to {most} rows; "
                f"{_SECTION}.frame_size=N cuts them into samples of N rows"
            )
        return least

    def _samples(self, split: str, pieces: Pieces, rows: int) -> Samples:
        hop = self.front_end.hop or rows
        windows = cut(pad(pieces, rows, hop) if self.keep_short_tails else pieces, rows, hop)
        names = [self.recordings.names[number] for number in windows.short]
        if names:
            self.notes.append(
                f"{len(names)} recordings of {split} are shorter than a sample of {rows} rows and are left out, the "
                f"first {names[0]}; {_SECTION}.keep_short_tails=true keeps them, filled up with zeros"
            )
        absent = np.setdiff1d(pieces.labels, windows.labels.numpy()).tolist()
        if absent and (split == "train" or not len(windows)):
            classes = [self.recordings.class_names[label] for label in absent]
            raise InputError(
                f"{self.recordings.source}: no recording of {classes} in {split} has the {rows} rows of a sample; "
                f"{_SECTION}.keep_short_tails=true fills them up with zeros"
            )
        return Samples(windows, self.front_end)

    def check_export(self) -> None:
        """Compare the front end with its form in the exported network on all samples.

        Raises:
            InputError: if rounding alone moves the features: the logarithm of a spectrum that is 0 in exact numbers.
        """
        exported = self.front_end.for_export()
        for split in SPLITS:
            for x in self.splits[split].raw_batches():
                moved = float(((exported(x) - self.front_end(x)).abs().amax((0, 2)) / self.std).max())
                if not moved <= _MOST_MOVED:
                    raise InputError(
                        f"export.include_features: rounding alone moves features of {split} by {moved:.2g} standard "
                        f"deviations, because a spectrum is 0 there; put RAW_FE before the FFT, raise log_threshold, "
                        "or leave it false"
                    )

    def write_annotations(self, folder: Path) -> None:
        """Write the lists of the splits, and a report of them, into ``folder/annotations``."""
        write_lists(folder / FOLDER, to_lists(self.recordings, self.segments))
        write_json(folder / FOLDER / "report.json", report(self.recordings, self.segments))

    def loader(self, split: str, shuffle: bool) -> DataLoader:
        """A loader of one split; a shuffled one gives each epoch an order that only seed and epoch decide."""
        samples = self.splits[split]
        # One replica: a sampler whose order follows the epoch, so that a resumed run sees what an unbroken one sees.
        sampler: Sampler | None = DistributedSampler(samples, 1, 0, shuffle=True, seed=self.seed) if shuffle else None
        if split == "train" and isinstance(sampler, DistributedSampler) and self.augmentation is not None:
            samples = samples.augmented(self.augmentation, self.seed, sampler)
        return DataLoader(samples, self._batch_size(shuffle), sampler=sampler, collate_fn=_as_is)

    def _batch_size(self, trains: bool) -> int:
        channels, length, _ = self.task_shape
        affordable = min(_MEASURED, _CHUNK_VALUES // (channels * length))
        return self.batch_size if trains else max(self.batch_size, affordable)

    def train_dataloader(self) -> DataLoader:
        """Shuffled and augmented batches of ``train``."""
        return self.loader("train", shuffle=True)

    def alphas_dataloader(self) -> DataLoader:
        """Shuffled batches of ``val``, for the alpha steps of a search."""
        return self.loader("val", shuffle=True)

    def val_dataloader(self) -> DataLoader:
        """Batches of ``val`` in order."""
        return self.loader("val", shuffle=False)

    def test_dataloader(self) -> DataLoader:
        """Batches of ``test`` in order."""
        return self.loader("test", shuffle=False)


def channel_constants(samples: Samples | Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation ``[C]`` of samples ``[N, C, L]``; a constant channel gets a deviation of 1."""
    chunks = _chunks(samples) if isinstance(samples, Samples) else [samples]
    mean, std = moments(chunk.transpose(0, 1).flatten(1) for chunk in chunks)
    return mean.float(), torch.where(std > 1e-6 * (1 + mean.abs()), std, 1.0).float()


def moments(chunks: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation, float64 ``[C]``, over chunks ``[C, T]`` that need not be in memory together.

    The moments of the chunks are merged (Chan, Golub and LeVeque 1983, equation 2.1).
    """
    count, mean, squares = 0, torch.zeros(()), torch.zeros(())
    for chunk in chunks:
        values = chunk.double()
        own, num = values.mean(1), values.shape[1]
        difference = own - mean
        squares = squares + values.var(1, correction=0) * num + difference**2 * (count * num / (count + num))
        mean = mean + difference * (num / (count + num))
        count += num
    return mean, (squares / count).sqrt()


def _chunks(samples: Samples) -> Iterator[Tensor]:
    values = samples[0][0].numel()
    for indices in torch.arange(len(samples)).split(max(1, _CHUNK_VALUES // values)):
        yield samples.__getitems__(indices)[0]
        give_back(samples.windows.values)


def _as_is(batch: Any) -> Any:
    return batch
