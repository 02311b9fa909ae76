"""The operations an edge can choose from.

Shapes: B batch, C channels, L time steps. Every operation maps ``[B, C, L]`` to ``[B, C, ceil(L / stride)]``.
To add one, add an entry to ``OPS``: the contract tests find it there.
"""

from collections.abc import Callable
from functools import partial

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


def conv_bn_relu(in_channels: int, out_channels: int, kernel_size: int, stride: int, affine: bool) -> nn.Sequential:
    """Convolution without bias, BatchNorm and ReLU; length out is ``ceil(L / stride)``."""
    return nn.Sequential(
        nn.Conv1d(in_channels, out_channels, kernel_size, stride, kernel_size // 2, bias=False),
        nn.BatchNorm1d(out_channels, affine=affine),
        nn.ReLU(),
    )


def _conv(channels: int, stride: int, affine: bool, *, kernel_size: int) -> nn.Module:
    return conv_bn_relu(channels, channels, kernel_size, stride, affine)


def _skip(channels: int, stride: int, affine: bool) -> nn.Module:
    return nn.Identity() if stride == 1 else conv_bn_relu(channels, channels, 1, stride, affine)


def _depthwise(
    channels: int, stride: int, affine: bool, *, kernel_size: int, dilation: int = 1, pointwise: bool = False
) -> nn.Module:
    padding = dilation * (kernel_size - 1) // 2
    layers: list[nn.Module] = [
        nn.Conv1d(channels, channels, kernel_size, stride, padding, dilation, groups=channels, bias=False)
    ]
    if pointwise:
        layers.append(nn.Conv1d(channels, channels, 1, bias=False))
    return nn.Sequential(*layers, nn.BatchNorm1d(channels, affine=affine), nn.ReLU())


OPS: dict[str, OpBuilder] = {
    "none": lambda channels, stride, affine: Zero(stride),
    "avg_pool_3x1": lambda channels, stride, affine: nn.AvgPool1d(3, stride, 1, count_include_pad=False),
    "max_pool_3x1": lambda channels, stride, affine: nn.MaxPool1d(3, stride, 1),
    "skip_connect": _skip,
    "conv_bn_relu_3x1": partial(_conv, kernel_size=3),
    "conv_bn_relu_5x1": partial(_conv, kernel_size=5),
    "conv_bn_relu_7x1": partial(_conv, kernel_size=7),
    # Optional: not in DEFAULT_OPS, switched on by `space.ops`.
    "conv_bn_relu_1x1": partial(_conv, kernel_size=1),
    "depthwise_3x1": partial(_depthwise, kernel_size=3),
    "depthwise_5x1": partial(_depthwise, kernel_size=5),
    "depthwise_7x1": partial(_depthwise, kernel_size=7),
    "sep_conv_3x1": partial(_depthwise, kernel_size=3, pointwise=True),
    "sep_conv_5x1": partial(_depthwise, kernel_size=5, pointwise=True),
    "sep_conv_7x1": partial(_depthwise, kernel_size=7, pointwise=True),
    "dil_conv_3x1": partial(_depthwise, kernel_size=3, dilation=2, pointwise=True),
    "dil_conv_5x1": partial(_depthwise, kernel_size=5, dilation=2, pointwise=True),
}
"""Name to builder ``(channels, stride, affine) -> module``; the only list of operations.

``sep_conv`` is a depthwise then a 1x1 convolution, once (DARTS stacks two), ``dil_conv`` the same with dilation 2.
"""

DEFAULT_OPS: tuple[str, ...] = tuple(OPS)[:7]
"""The seven operations of the guide."""
