"""Where a search stands, for the parts of a strategy that depend on it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nas_lightning.space.base import SearchSpace

Alphas = Mapping[str, Tensor]
"""Raw parameters by name: of each table ``[rows, options]``, and what else a relaxation adds."""


@dataclass(frozen=True)
class Moment:
    """Where a search stands.

    Attributes:
        progress: the share of its epochs that is over, from 0 to 1.
        generator: for random choices; its state follows from the seed and the number of the step, so that a search that
            was stopped goes on as an unbroken one.
        space: that is searched.
    """

    progress: float
    generator: torch.Generator
    space: SearchSpace[Any]


def generator_of(seed: int, step: int, stage: int) -> torch.Generator:
    """For what is drawn in a step of a search; stages of one step draw different numbers."""
    (mixed,) = np.random.SeedSequence([seed, step, stage]).generate_state(1)  # a generator takes but 32 bits of a seed
    return torch.Generator().manual_seed(int(mixed))
