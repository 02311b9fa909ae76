"""The input normalisation, in training and as it is deployed."""

import torch
from torch import Tensor, nn


class InputNorm(nn.Module):
    """Constants of the train split, then BatchNorm: ``[B, C, L]`` or ``[B, C, L, 1]`` to ``[B, C, L]``.

    The constants are buffers, so that they travel with the weights and are part of every exported network.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, channels: int, affine: bool) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels, 1))
        self.register_buffer("std", torch.ones(channels, 1))
        self.bn = nn.BatchNorm1d(channels, affine=affine)

    def set_constants(self, mean: Tensor, std: Tensor) -> None:
        """Take per-channel ``mean`` and ``std``, each of shape ``[C]``."""
        self.mean.copy_(mean.reshape(-1, 1))
        self.std.copy_(std.reshape(-1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Map raw samples to normalised ones of the same length."""
        return self.bn(self.standardise(x))

    def standardise(self, x: Tensor) -> Tensor:
        """By the constants alone: ``[B, C, L]`` or ``[B, C, L, 1]`` to ``[B, C, L]``."""
        if x.dim() == 4:
            x = x.squeeze(3)
        return (x - self.mean) / self.std


class ChannelAffine(nn.Module):
    """``(x - mean) * scale + shift`` per channel: what is left of the input normalisation after folding.

    The subtraction comes first, because it loses nothing where a small signal stands on a large constant: the
    difference of floats within a factor of two of each other is exact, and so is that of whole numbers below 2^24.
    """

    def __init__(self, scale: Tensor, mean: Tensor, shift: Tensor) -> None:
        super().__init__()
        self.scale = nn.Parameter(scale.reshape(-1, 1))
        self.mean = nn.Parameter(mean.reshape(-1, 1))
        self.shift = nn.Parameter(shift.reshape(-1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, C, L]`` to the same shape."""
        return (x - self.mean) * self.scale + self.shift
