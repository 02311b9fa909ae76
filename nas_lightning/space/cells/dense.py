"""Convolutions in the one form that the heavy operations take: dense, of one width, at stride 1, BatchNorm folded in.

Letters: B samples, C channels, L time steps, E edges, O operations, K taps (odd).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeGuard

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas_lightning.kernels.choice import implementation
from nas_lightning.kernels.network_ops import STRIDES
from nas_lightning.kernels.torch_ops import fold_statistics


@dataclass(frozen=True)
class Chain:
    """What ``dense_kernel`` must know of a chain of one or two convolutions.

    Attributes:
        num_convs: 1, or 2 where a 1x1 convolution follows.
        is_depthwise: whether the first convolves each channel alone.
        dilation: of the first.
        half: how far its outermost tap is from its centre.
    """

    num_convs: int
    is_depthwise: bool
    dilation: int
    half: int


MOST_HALF = 8
"""How far a convolution may reach to be computed as a dense one: the statistics of patches grow with its square."""


def convolutions(module: nn.Module) -> list[nn.Conv1d]:
    """The convolutions among the layers of an operation."""
    return [layer for layer in module.children() if isinstance(layer, nn.Conv1d)]


def chain_of(module: nn.Module) -> Chain | None:
    """The chain that an operation is, or None if it is anything but mergeable convolutions, BatchNorm and ReLU.

    Convolutions can be merged if the first keeps the length (but for its stride), is dense or depthwise and reaches at
    most ``MOST_HALF`` steps, and the second, if there is one, is a dense 1x1 convolution.
    """
    convs = convolutions(module) if isinstance(module, nn.Sequential) else []
    if not convs or [type(m) for m in module.children()] != [nn.Conv1d] * len(convs) + [nn.BatchNorm1d, nn.ReLU]:
        return None
    first, *rest = convs
    half = first.dilation[0] * (first.kernel_size[0] // 2)
    mergeable = (
        len(rest) <= 1
        and all(conv.padding_mode == "zeros" and conv.bias is None for conv in convs)
        and all((*conv.kernel_size, *conv.stride, conv.groups) == (1, 1, 1) for conv in rest)
        and first.kernel_size[0] % 2 == 1
        and first.padding == (half,)
        and half <= MOST_HALF
        and first.groups in (1, first.in_channels)
    )
    return Chain(len(convs), first.groups > 1, first.dilation[0], half) if mergeable else None


def dense_kernel(weights: Sequence[Tensor], chain: Chain, half: int) -> Tensor:
    """The kernels ``[E, C, C_in, 2 * half + 1]`` that do what a chain of convolutions does.

    Args:
        weights: for each convolution of the chain its weights on all edges, ``[E, C, C_in / groups, k]``.
        chain: what it is.
        half: taps on each side of the centre.
    """
    kernel = weights[0]
    if chain.dilation > 1:
        kernel = F.pad(kernel[..., None], (0, chain.dilation - 1)).flatten(-2)[..., : 1 - chain.dilation]
    if chain.num_convs == 2:
        pointwise = weights[1][..., 0]  # [E, C, M]; M channels between the two
        if chain.is_depthwise:
            kernel = pointwise[..., None] * kernel[:, None, :, 0]
        else:
            kernel = torch.einsum("eom,emik->eoik", pointwise, kernel)
    elif chain.is_depthwise:
        kernel = torch.diag_embed(kernel[:, :, 0].mT, dim1=1, dim2=2)
    extra = half - chain.half
    return F.pad(kernel, (extra, extra)) if extra else kernel


def window(half: int, common_half: int, stride: int) -> tuple[int, int]:
    """The first and last tap of a kernel that reaches ``half`` steps, in one that reaches ``common_half``."""
    centre = -(-common_half // stride)
    return centre + (-half) // stride, centre + half // stride


def kernel_phases(kernels: Tensor) -> Tensor:
    """Kernels of stride 2 ``[..., C_in, K]`` as kernels of stride 1 on the phases of the input, ``[..., 2 C_in, K']``.

    Tap k reads ``x[2 t + k - K // 2]``, which is step ``t + q`` of phase p where ``k - K // 2 = 2 q + p``.
    """
    taps = kernels.shape[-1]
    half = -(-(taps // 2) // 2)  # of the kernels on phases
    left = 2 * half - taps // 2
    padded = F.pad(kernels, (left, 2 * (2 * half + 1) - taps - left))
    return padded.unflatten(-1, (-1, 2)).movedim(-1, -3).flatten(-3, -2)


def input_phases(x: Tensor) -> Tensor:
    """``[B, C, L]`` to its even and its odd steps, ``[B, 2 C, ceil(L / 2)]``; a missing last step is zero."""
    padded = F.pad(x, (0, x.shape[2] % 2))
    return padded.unflatten(2, (-1, 2)).permute(0, 3, 1, 2).flatten(1, 2)


def fused_conv_bn_relu(layers: nn.Sequential, x: Tensor, kernels_choice: str) -> Tensor:
    """What ``ops.conv_bn_relu`` with stride 1, or with kernel 1, does; updates its running statistics as it does.

    Args:
        layers: convolution, BatchNorm without affine parameters, ReLU.
        x: ``[B, C_in, L]``.
        kernels_choice: one of ``KERNELS``.
    """
    conv, bn = layers[0], layers[1]
    assert isinstance(conv, nn.Conv1d)  # nosec B101 # for mypy: chain_of found it
    assert isinstance(bn, nn.BatchNorm1d)  # nosec B101 # for mypy: chain_of found it
    assert bn.running_mean is not None  # nosec B101 # for mypy: all BatchNorms here track
    assert bn.running_var is not None  # nosec B101 # for mypy: all BatchNorms here track
    assert bn.num_batches_tracked is not None  # nosec B101 # for mypy: all BatchNorms here track
    if conv.stride[0] > 1:
        x = x[:, :, :: conv.stride[0]]
    kernels, heavy = conv.weight[None, None], implementation(kernels_choice, x)
    if bn.training:
        folded, bias, mean, variance = heavy.fold_batch_norm(x, kernels, bn.eps)
        count = x.shape[0] * x.shape[2]
        update_running(bn.running_mean, bn.running_var, mean[0, 0], variance[0, 0], count, bn.momentum)
        bn.num_batches_tracked.add_(1)
    else:
        folded, bias = fold_statistics(kernels, bn.running_mean[None, None], bn.running_var[None, None], bn.eps)
    taps = conv.kernel_size[0]
    return heavy.mixture(x, None, folded, bias, x.new_ones(1, 1), None, [(0, taps - 1)])[0]


def run_layers(layers: nn.Module, x: Tensor, kernels_choice: str) -> Tensor:
    """What a module does; depthwise convolutions in a row of layers run by the kernels that were chosen.

    Args:
        layers: a row of layers, or any module, which then runs as it is.
        x: ``[B, C, L]``.
        kernels_choice: one of ``KERNELS``.
    """
    if not isinstance(layers, nn.Sequential):
        return layers(x)
    for layer in layers:
        if _is_depthwise(layer):
            x = implementation(kernels_choice, x).convolve(x, layer.weight, layer.stride[0], layer.dilation[0])
        else:
            x = layer(x)
    return x


def _is_depthwise(layer: nn.Module) -> TypeGuard[nn.Conv1d]:
    """Whether a layer convolves each channel alone, in the form that ``convolve`` has."""
    return (
        type(layer) is nn.Conv1d
        and layer.groups == layer.in_channels > 1
        and layer.padding == (layer.dilation[0] * (layer.kernel_size[0] // 2),)
        and layer.kernel_size[0] % 2 == 1
        and layer.stride[0] in STRIDES
        and (layer.padding_mode, layer.bias) == ("zeros", None)
    )


@torch.no_grad()
def update_running(
    running_mean: Tensor, running_var: Tensor, mean: Tensor, variance: Tensor, count: int, momentum: float | None
) -> None:
    """Update running statistics in place as BatchNorm does, from a batch of ``count`` values per channel.

    Raises:
        ValueError: for a single value, which has no variance.
    """
    assert momentum is not None  # nosec B101 # for mypy: all BatchNorms here have one
    if count < 2:
        raise ValueError("batch normalisation needs more than one value per channel in training")
    running_mean.lerp_(mean.to(running_mean.dtype), momentum)
    running_var.lerp_(variance.to(running_var.dtype) * (count / (count - 1)), momentum)
