"""The operations an edge can choose from.

Shapes: B batch, C channels, L time steps. Every operation maps ``[B, C, L]`` to ``[B, C, ceil(L / stride)]``.
"""

from collections.abc import Callable

from torch import Tensor, nn

OpBuilder = Callable[[int, int, bool], nn.Module]


class Zero(nn.Module):
    """The ``none`` operation: zeros of the right shape, which drops the connection."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, C, L]`` to zeros of ``[B, C, ceil(L / stride)]``."""
        return x[:, :, :: self.stride] * 0.0


def conv_bn_relu(
    in_channels: int, out_channels: int, kernel_size: int, stride: int, affine: bool, dilation: int = 1
) -> nn.Sequential:
    """Convolution without bias, BatchNorm and ReLU; length out is ``ceil(L / stride)``."""
    padding = dilation * (kernel_size - 1) // 2
    return nn.Sequential(
        nn.Conv1d(in_channels, out_channels, kernel_size, stride, padding, dilation, bias=False),
        nn.BatchNorm1d(out_channels, affine=affine),
        nn.ReLU(),
    )


def skip(channels: int, stride: int, affine: bool) -> nn.Module:
    """The identity; at stride 2 a 1x1 stride-2 convolution with BatchNorm and ReLU."""
    return nn.Identity() if stride == 1 else conv_bn_relu(channels, channels, 1, stride, affine)


OPS: dict[str, OpBuilder] = {
    "none": lambda channels, stride, affine: Zero(stride),
    "avg_pool_3x1": lambda channels, stride, affine: nn.AvgPool1d(3, stride, 1, count_include_pad=False),
    "max_pool_3x1": lambda channels, stride, affine: nn.MaxPool1d(3, stride, 1),
    "skip_connect": skip,
    "conv_bn_relu_3x1": lambda channels, stride, affine: conv_bn_relu(channels, channels, 3, stride, affine),
    "conv_bn_relu_5x1": lambda channels, stride, affine: conv_bn_relu(channels, channels, 5, stride, affine),
    "conv_bn_relu_7x1": lambda channels, stride, affine: conv_bn_relu(channels, channels, 7, stride, affine),
}
"""Name to builder ``(channels, stride, affine) -> module``; the only list of operations."""
