"""Averages of weights over the steps of a training."""

from collections.abc import Sequence

from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn


class MovingAverage(WeightAveraging):
    """Measures, saves and ends with an exponential moving average of the weights and of the running statistics.

    After n steps the decay is ``min(decay, (1 + n) / (10 + n))``, so that what the first weights were is forgotten in
    time even in a training of a few steps (as TensorFlow's ``ExponentialMovingAverage`` does with ``num_updates``).

    Args:
        decay: the share of the average that a step keeps, from 0 to less than 1.
    """

    def __init__(self, decay: float) -> None:
        def update(averages: Sequence[Tensor], values: Sequence[Tensor], num_averaged: Tensor | int) -> None:
            count = int(num_averaged)
            step = get_ema_multi_avg_fn(min(decay, (1 + count) / (10 + count)))
            # Lightning makes the average before it brings the module to its precision.
            step(averages, [value.to(average) for average, value in zip(averages, values, strict=True)], num_averaged)

        super().__init__(multi_avg_fn=update)
