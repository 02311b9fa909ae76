"""What stands before the cells of every network: input normalisation and the first convolution."""

from torch import Tensor, nn

from nas_lightning.graph.norm import InputNorm
from nas_lightning.space.ops import conv_bn_relu


class Stem(nn.Sequential):
    """``InputNorm`` and a convolution of kernel 3 with BatchNorm and ReLU: ``[B, C_in, L]`` to ``[B, C, L]``."""

    def __init__(self, in_channels: int, channels: int, affine: bool) -> None:
        super().__init__()
        self.norm = InputNorm(in_channels, affine)
        self.conv = conv_bn_relu(in_channels, channels, 3, 1, affine)


def set_constants(network: nn.Module, mean: Tensor, std: Tensor) -> None:
    """Give a network the mean and deviation ``[C]`` of its input, if it normalises it itself."""
    norm = next((module for module in network.modules() if isinstance(module, InputNorm)), None)
    if norm is not None:
        norm.set_constants(mean, std)
