"""Plain DataLoaders of a user, made to look like ``TimeSeriesData``."""

from collections.abc import Iterator, Sequence
from typing import Any

import lightning as L
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from nas_lightning import progress
from nas_lightning.data.collect import collect
from nas_lightning.data.moments import channel_constants
from nas_lightning.data.protocol import SearchData
from nas_lightning.data.readers.sets import ArraySet, Part, read_set
from nas_lightning.data.reading import Findings, Reading
from nas_lightning.errors import InputError, brief
from nas_lightning.tasks import Classification


class PairLoader:
    """Iterates a DataLoader and keeps the last two items of each batch: samples ``[B, C, L]`` and labels ``[B]``.

    Args:
        loader: of the user.
        name: under which it was given.

    Raises:
        InputError: on iteration, for a batch that is something else.
    """

    def __init__(self, loader: DataLoader, name: str) -> None:
        self.loader, self.name = loader, name

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for batch in self.loader:
            x, y = self._pair(batch)
            self._check_types(x, y)
            yield (x.squeeze(3) if x.dim() == 4 else x).float(), y.long()

    def _pair(self, batch: Any) -> tuple[Tensor, Tensor]:
        pair = batch[-2:] if isinstance(batch, (tuple, list)) else (batch,)
        if len(pair) != 2 or not all(isinstance(part, Tensor) for part in pair):
            found = ", ".join(type(part).__name__ for part in pair)
            raise InputError(
                f"{self.name}: a batch holds {found}; allowed: tuples that end with two tensors, x and y; arrays and "
                "tables without a DataLoader are taken by TimeSeriesData.from_arrays and from_frame"
            )
        x, y = pair
        if x.dim() not in (3, 4) or y.shape != x.shape[:1]:
            raise InputError(
                f"{self.name}: a batch has x {list(x.shape)} and y {list(y.shape)}; "
                "allowed: x [B, C, L] or [B, C, L, 1] and y [B]"
            )
        return x, y

    def _check_types(self, x: Tensor, y: Tensor) -> None:
        if x.is_complex() or y.is_complex():
            raise InputError(f"{self.name}: a batch has complex numbers; allowed: real ones")
        if y.is_floating_point() and not torch.equal(y, y.round()):
            label = y[y != y.round()][0].item()
            raise InputError(f"{self.name}: a batch has the label {label:g}; allowed: whole numbers, 0 to K - 1")


class LoaderData(L.LightningDataModule, SearchData):
    """A training and a validation DataLoader with the attributes of ``TimeSeriesData``; there is no test split.

    The loaders keep their batch size, order and augmentation; one pass over each reads shapes, labels and constants.
    Batches are ``(x, y)``, or anything whose last two items are: x ``[B, C, L]`` or ``[B, C, L, 1]``, y 0 to K - 1.

    Args:
        train_loader: of the split ``train``.
        valid_loader: of the split ``val``.
        class_names: of the labels 0 to K - 1; None: their numbers.

    Raises:
        InputError: from ``setup``, for data that cannot be used.
    """

    has_test = False

    def __init__(
        self, train_loader: DataLoader, valid_loader: DataLoader, class_names: Sequence[str] | None = None
    ) -> None:
        super().__init__()
        self.class_names = None if class_names is None else tuple(class_names)
        self.train_pairs = PairLoader(train_loader, "train_loader")
        self.val_pairs = PairLoader(valid_loader, "valid_loader")
        self.notes: list[str] = []
        self._is_read = False

    def setup(self, stage: str | None = None) -> None:
        """Look once at both loaders."""
        if self._is_read:
            return
        (x_train, y_train), (x_val, y_val) = _whole(self.train_pairs), _whole(self.val_pairs)
        parts = [
            Part(split, x.numpy(), y.numpy(), suffix=f" of {pairs.name}")
            for split, x, y, pairs in (
                ("train", x_train, y_train, self.train_pairs),
                ("test", x_val, y_val, self.val_pairs),
            )
        ]
        collect(read_set(ArraySet("loaders", parts), Reading(axes="channels_first"), Findings()))
        _, channels, length = x_train.shape
        if channels > length:
            self.notes.append(
                f"{self.train_pairs.name}: a sample has {channels} channels and {length} time steps; x is [B, C, L], "
                "so exchange the axes if it should be the other way round"
            )
        count = int(y_train.max()) + 1
        if y_train.unique().tolist() != list(range(count)):
            raise InputError(
                f"train_loader: has the labels {y_train.unique().tolist()}; allowed: 0 to K - 1, each present"
            )
        self.train_targets, self.sizes = y_train, {"train": len(y_train), "val": len(y_val)}
        names = tuple(map(str, range(count))) if self.class_names is None else self.class_names
        if len(names) != count or len(set(names)) != count or not all(isinstance(name, str) for name in names):
            raise InputError(
                f"class_names: found {brief(str(list(names)))}; allowed: {count} different texts, one a label"
            )
        self.task = Classification(channels, length, count, names)
        self.mean, self.std = channel_constants(x_train)
        self._is_read = True

    def train_dataloader(self) -> PairLoader:
        """The training loader."""
        return self.train_pairs

    def val_dataloader(self) -> PairLoader:
        """The validation loader."""
        return self.val_pairs


def _whole(pairs: PairLoader) -> tuple[Tensor, Tensor]:
    """All samples and labels of one pass."""
    batches = list(progress.track(pairs, f"looking at {pairs.name}", unit="batch"))
    if not batches:
        raise InputError(f"{pairs.name}: gives no batch; allowed: one or more")
    x, y = zip(*batches, strict=True)
    return torch.cat(x), torch.cat(y)
