"""Schedules of the learning rate that PyTorch has for steps alone."""

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

_START = 1 / 25
"""Of the rate, as in PyTorch's ``OneCycleLR``."""


def one_cycle(optimizer: Optimizer, epochs: int, warmup: float = 0.3) -> LambdaLR:
    """From a twenty-fifth of the rate up to it, and then down to 0, both as half a cosine.

    Smith and Topin, arXiv 1708.07120, with the shape and the start of PyTorch's ``OneCycleLR``, which takes the rate by
    itself and not from the optimizer.

    >>> import torch
    >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=1.0)
    >>> schedule, rates = one_cycle(optimizer, 4, warmup=0.5), []
    >>> for _ in range(4):
    ...     rates.append(round(schedule.get_last_lr()[0], 2))
    ...     optimizer.step()
    ...     schedule.step()
    >>> rates
    [0.04, 0.52, 1.0, 0.5]

    Args:
        optimizer: whose rates are the largest ones.
        epochs: of the training.
        warmup: the share of them in which the rate rises, from 0 to less than 1.
    """
    rising = warmup * epochs

    def factor(epoch: int) -> float:
        if epoch < rising:
            return _START + (1 - _START) * _half_cosine(epoch / rising)
        return 1 - _half_cosine(min(1.0, (epoch - rising) / (epochs - rising)))

    return LambdaLR(optimizer, factor)


def _half_cosine(share: float) -> float:
    """From 0 to 1 as the share does, and level at both ends."""
    return (1 - math.cos(math.pi * share)) / 2
