"""Where a search stands, for the parts of a strategy that depend on it."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from nas_lightning.cost.tables import SpaceCost

Alphas = Mapping[str, Tensor]
"""Raw parameters by name: ``normal`` and ``reduce`` of shape ``[E, O]``, and what else a relaxation adds."""


@dataclass(frozen=True)
class Moment:
    """Where a search stands.

    Attributes:
        progress: the share of its epochs that is over, from 0 to 1.
        generator: for random choices; its state follows from the seed and the number of the step, so that a search that
            was stopped goes on as an unbroken one.
        space_cost: of the space, with its size and operations.
    """

    progress: float
    generator: torch.Generator
    space_cost: SpaceCost
