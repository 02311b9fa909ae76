"""How long a fit is, by the number of its samples."""

import math
from dataclasses import dataclass
from typing import Any, Self

from torch.utils.data import DistributedSampler, RandomSampler, SubsetRandomSampler

from nas_lightning.data.loaders import PairLoader


@dataclass(frozen=True)
class Length:
    """Epochs, and how much of the samples each of them takes.

    Attributes:
        epochs: how many.
        batches: the most of an epoch; None for all.
        every: after how many epochs val is looked at.
    """

    epochs: int
    batches: int | None = None
    every: int = 1

    @classmethod
    def of_steps(cls, steps: int, batches: int | None, least: int, most: int) -> Self:
        """As many epochs as make so many steps.

        A large set would be over after a few epochs, so it has ``least`` of them, each of a part of its samples; and no
        set is seen more than ``most`` times, so that a small one has fewer steps.

        >>> Length.of_steps(2000, 85, 20, 200)
        Length(epochs=24, batches=84, every=1)
        >>> Length.of_steps(2000, 40_000, 20, 200)
        Length(epochs=20, batches=100, every=1)
        >>> Length.of_steps(2000, 2, 20, 200)
        Length(epochs=200, batches=2, every=1)

        Args:
            steps: about how many.
            batches: of all samples; None if it is not known.
            least: epochs.
            most: epochs.
        """
        epochs = least if batches is None else min(most, max(least, math.ceil(steps / batches)))
        own = math.ceil(steps / epochs)
        return cls(epochs, own if batches is None else min(batches, own))

    def steps(self, batches: int | None) -> int | None:
        """How many there are where all samples make so many batches; None if that is not known."""
        of_epoch = [count for count in (self.batches, batches) if count is not None]
        return self.epochs * min(of_epoch) if of_epoch else None


def batches_of(loader: Any) -> int | None:
    """How many batches a loader has; None if it does not say."""
    try:
        return len(loader)
    except TypeError:
        return None


def is_shuffled(loader: Any) -> bool:
    """Whether each epoch of a loader, or of the one that it wraps, begins with other samples.

    Then a part of an epoch is a fair one.
    """
    inner = loader.loader if isinstance(loader, PairLoader) else loader
    return isinstance(getattr(inner, "sampler", None), RandomSampler | SubsetRandomSampler | DistributedSampler)
