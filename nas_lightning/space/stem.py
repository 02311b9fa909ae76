"""What stands before the cells of every network: input normalisation and the first convolution."""

import torch
from torch import Tensor, nn

from nas_lightning.space.ops import conv_bn_relu


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


class Stem(nn.Sequential):
    """``InputNorm`` and a convolution of kernel 3 with BatchNorm and ReLU: ``[B, C_in, L]`` to ``[B, C, L]``."""

    def __init__(self, in_channels: int, channels: int, affine: bool) -> None:
        super().__init__()
        self.norm = InputNorm(in_channels, affine)
        self.conv = conv_bn_relu(in_channels, channels, 3, 1, affine)


def set_constants(network: nn.Module, mean: Tensor, std: Tensor) -> None:
    """Give a network the mean and deviation ``[C]`` of its input, if it normalises it itself."""
    for module in network.modules():
        if isinstance(module, InputNorm):
            module.set_constants(mean, std)
