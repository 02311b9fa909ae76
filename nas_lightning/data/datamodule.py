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

from nas_lightning import progress
from nas_lightning.data.annotations import FOLDER, SPLITS, asked_lists, write_lists
from nas_lightning.data.augment import Augmentation
from nas_lightning.data.collect import collect
from nas_lightning.data.cutting import cut_splits
from nas_lightning.data.doubts import doubtful_channels
from nas_lightning.data.features import FrontEnd, FrontEndCost
from nas_lightning.data.made import MakeSource, source_of_arrays, source_of_frame
from nas_lightning.data.moments import channel_constants, digest, ranges
from nas_lightning.data.preparation import Framing, Preparation, span
from nas_lightning.data.protocol import InputRows
from nas_lightning.data.readers import open_source
from nas_lightning.data.reading import Reading
from nas_lightning.data.recordings import Recordings
from nas_lightning.data.splits import (
    LISTS,
    Segments,
    check_splits,
    complete_factors,
    from_lists,
    make_splits,
    report,
    to_lists,
)
from nas_lightning.data.suits import check_rounding, check_whole_numbers
from nas_lightning.data.windows import DifferentLengths, Samples, as_is, batch_size_of, check_rate, rate_decisions
from nas_lightning.errors import InputError
from nas_lightning.files import write_json
from nas_lightning.tasks import Classification, Origins

_CHUNK_VALUES = 1 << 22
_MEASURED = 256  # samples per batch where nothing is trained


class TimeSeriesData(L.LightningDataModule):
    """Splits, constants and loaders of one data set.

    After ``setup``: ``task``, ``sample_shape`` ``(channels, length)`` of what the network sees, ``mean`` and ``std``
    [C] of the train split, the ``recordings`` and their ``segments`` by split, ``decisions``: how the source was read
    where nothing was said, and ``notes``: what a user should know, one sentence each. Batches come from the front end;
    the network normalises.

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
        batch_size: samples per batch of training, of which the last may have fewer; None: by those of ``train``, see
            ``batch_size_of``. Where a network is only measured, batches have up to 256: small ones take as long.
        seed: of the split, the order of batches and the augmentation.
        reading: what is known of the way in which the source is written; ``columns`` and ``variables`` are those above.

    Raises:
        InputError: from ``setup``, for data that cannot be used.
    """

    has_test = True

    def __init__(
        self,
        name: str | None = "BasicMotions",
        path: str | None = None,
        front_end: FrontEnd | None = None,
        augmentation: Augmentation | None = None,
        variables: Any = None,
        missing: str = "error",
        group_pattern: str | None = None,
        columns: Mapping[str, str | None] | None = None,
        split_type: str = "auto",
        split_factor: float | Sequence[float] = (0.6, 0.2, 0.2),
        annotations: str | None = None,
        sampling_rate: float | None = None,
        new_sr: float | None = None,
        anti_alias: bool = True,
        keep_short_tails: bool = False,
        batch_size: int | None = None,
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
        self.unknown_splits: dict[str, Samples] = {}
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
            label_names=class_names,
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
        self.decisions = source.findings.decisions + rate_decisions(self.recordings.sampling_rates, self.sampling_rate)
        self.notes += source.findings.warnings + doubtful_channels(self.recordings)
        if len(self.recordings.breaks) and not self.front_end.rows:
            self.notes.append("a sample is a whole recording, pauses included; `frame_size` ends windows there")
        with progress.step("splitting the recordings"):
            self.segments = self._segments(self.recordings)
            self.notes += check_splits(self.recordings, self.segments)
        try:
            found = cut_splits(self.recordings, self.segments, self.framing, self.front_end, self.augmentation)
        except DifferentLengths as error:
            if self._make_source:  # a program, which has no key for it
                error.args = (str(error).replace("`frame_size`=N", "front_end=FrontEnd(frame_size=N)"),)
            raise
        splits, self.unknown_splits = dict(found.splits), dict(found.unknown)
        self.notes += found.notes
        self.batch_size = self.batch_size or batch_size_of(len(splits["train"]))
        if self.batch_size > len(splits["train"]):
            raise InputError(
                f"`batch_size`: {self.batch_size} is larger than the train split of "
                f"{self.path or self.name}; allowed: 1 to {len(splits['train'])}"
            )
        self.mean, self.std = channel_constants(splits["train"])
        if not (self.mean.isfinite().all() and self.std.isfinite().all()):
            raise InputError(
                f"`feat_ext_transform`: {', '.join(['scale', *self.front_end.names])} give values of the train split "
                "that are NaN or infinite; allowed: what keeps them finite"
            )
        check_whole_numbers(self.front_end, self.recordings)
        x, _ = splits["train"][0]
        self.sample_shape = (x.shape[0], x.shape[1])
        self.splits = splits

    @property
    def rate(self) -> float | None:
        """Rows a second of the samples; None if it is not known."""
        return self.framing.rate(self.recordings.sampling_rates)

    @property
    def task(self) -> Classification:
        """To tell the labels apart."""
        names = self.recordings.known_names
        return Classification(*self.sample_shape, len(names), names)

    @property
    def train_targets(self) -> Tensor:
        """The label of each sample of ``train``, ``[N]``."""
        return self.splits["train"].labels

    @property
    def front_end_cost(self) -> FrontEndCost:
        """What the front end takes on the device."""
        return self.front_end.cost(self.recordings.values.shape[1])

    def _segments(self, recordings: Recordings) -> Segments:
        source = recordings.source if self.annotations is None else self.annotations
        lists = recordings.lists if self.annotations is None else asked_lists(source)
        if lists is not None:
            if self.split_type != "auto":
                self.notes.append(f"the lists of {source} decide the splits; `split_type` is not looked at")
            return from_lists(recordings, lists, source)
        rows = self.front_end.rows if self.front_end.hop >= self.front_end.rows else 0
        if self.new_sr is not None:
            rates = check_rate(recordings.sampling_rates, self.sampling_rate, self.new_sr)
            rows = math.ceil(rows * float(rates.max()) / self.new_sr)
        return make_splits(recordings, self.split_type, self.split_factor, self.seed, rows)

    @property
    def framing(self) -> Framing:
        """How windows are cut."""
        own = self.sampling_rate, self.new_sr, self.anti_alias, self.keep_short_tails
        return Framing(*own, is_whole=not self.front_end.rows)

    def preparation(self) -> Preparation:
        """How samples are made of recordings, for whoever uses the network afterwards."""
        window, reading = self.raw_shape[1], self._reading()
        hop, rates = self.front_end.hop or window, span(self.recordings.sampling_rates)
        cut = self.framing, window, hop
        return Preparation(self.front_end.settings, *cut, reading, self.missing, self.group_pattern, rates)

    def _reading(self) -> Reading:
        return replace(self.reading, columns=self.columns or {}, variables=self.variables)

    def check_export(self) -> None:
        """Compare the front end with its form in the exported network on all samples.

        Raises:
            InputError: if rounding alone moves the features: the logarithm of a spectrum that is 0 in exact numbers.
        """
        for split in SPLITS:
            batches = self.splits[split].raw_batches(f"rounding of features, {split}")
            check_rounding(self.front_end, batches, self.std, split)

    @property
    def sizes(self) -> dict[str, int]:
        """Samples of each split."""
        return {split: len(samples) for split, samples in self.splits.items()}

    def samples(self, most: int) -> Tensor:
        """Up to so many samples ``[N, C, L]`` of ``train`` as they are, spread over the split."""
        train = self.splits["train"]
        return train.__getitems__(torch.linspace(0, len(train) - 1, min(most, len(train))).long())[0]

    def raw_batches(self, split: str) -> Iterator[Tensor]:
        """Rows ``[B, channels, rows]`` of a split before the front end, in order."""
        return self.splits[split].raw_batches()

    def origins(self, split: str) -> Origins:
        """The recording and the group of each sample of a split, in order."""
        numbers, groups = self.splits[split].windows.recordings, self.recordings.groups
        return Origins(numbers, self.recordings.names, None if groups is None else groups.numbers[numbers])

    @property
    def raw_shape(self) -> tuple[int, int]:
        """Channels and rows of a sample before the front end."""
        return self.recordings.values.shape[1], self.splits["train"].windows.rows

    def rows(self) -> InputRows:
        """What the rows are of which samples are made."""
        count, window = self.raw_shape
        offsets = np.zeros(count) if self.recordings.offsets is None else self.recordings.offsets
        least, most = ranges(self.splits["train"].raw_batches("range of the values"))
        numbers = self.variables if isinstance(self.variables, list) else range(count)
        return InputRows(
            channels=self.recordings.channels or tuple(map(str, numbers)),
            window=window,
            stride=self.front_end.hop or window,
            sampling_rate=self.rate,
            unit=self.recordings.unit,
            offsets=tuple(offsets.tolist()),
            least=tuple((least + offsets).tolist()),
            most=tuple((most + offsets).tolist()),
        )

    def augmented(self, count: int, seed: int) -> tuple[Tensor, Tensor] | None:
        """Some windows of ``train`` before and after the augmentation; None without one."""
        if self.augmentation is None:
            return None
        x = self.splits["train"].windows.gather(torch.arange(min(count, len(self.splits["train"]))))
        return x, self.augmentation(x, torch.Generator().manual_seed(seed))

    def digest(self) -> str:
        """A digest of recordings, labels and splits, whatever their names are."""
        parts = (*self.splits.values(), *self.unknown_splits.values())
        return digest(self.recordings, [samples.windows for samples in parts])

    def write_annotations(self, folder: Path) -> None:
        """Write the lists of the splits, and a report of them, into ``folder/annotations``."""
        write_lists(folder / FOLDER, to_lists(self.recordings, self.segments))
        rule = self.split_type if self.annotations is None else LISTS
        write_json(folder / FOLDER / "report.json", report(self.recordings, self.segments, rule))

    def recordings_of(self, split: str) -> np.ndarray | None:
        """The number of the recording of each sample of a split ``[N]``; None if those of one do not follow in time."""
        numbers = self.segments[split][:, 0]
        is_whole = len(np.unique(numbers)) == len(numbers)  # else blocks of a recording were dealt apart
        return self.origins(split).recordings if is_whole else None

    def unknown_batches(self, split: str) -> Iterable[tuple[Tensor, Tensor]]:
        """Batches of ``val`` or ``test`` of samples of no class, in order."""
        samples = self.unknown_splits.get(split)
        return () if samples is None else DataLoader(samples, batch_size=self._batch_size(False), collate_fn=as_is)

    def loader(self, split: str, shuffle: bool) -> DataLoader:
        """A loader of one split; a shuffled one gives each epoch an order that only seed and epoch decide."""
        samples = self.splits[split]
        # One replica: a sampler whose order follows the epoch, so that a resumed run sees what an unbroken one sees.
        sampler: Sampler | None = DistributedSampler(samples, 1, 0, shuffle=True, seed=self.seed) if shuffle else None
        if split == "train" and isinstance(sampler, DistributedSampler) and self.augmentation is not None:
            samples = samples.augmented(self.augmentation, self.seed, sampler)
        # By name: Lightning makes a loader anew to predict with it.
        return DataLoader(samples, batch_size=self._batch_size(shuffle), sampler=sampler, collate_fn=as_is)

    def _batch_size(self, trains: bool) -> int:
        own, affordable = self.batch_size or 1, min(_MEASURED, _CHUNK_VALUES // math.prod(self.sample_shape))
        return own if trains else max(own, affordable)

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

    predict_dataloader = test_dataloader
