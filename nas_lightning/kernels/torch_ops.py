"""The two heavy operations of the supernet in plain PyTorch: for any device, differentiable any number of times.

Letters: B samples, C channels, L time steps, E edges out of a node, O convolutional operations, K taps (odd).
A patch is what a convolution of K taps sees at one time step: ``[C, K]`` values, zeros beyond the ends.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

Windows = Sequence[tuple[int, int]]
"""The first and the last tap of each operation that can differ from zero."""


def mixture(
    x: Tensor,
    acc: Sequence[Tensor] | None,
    kernels: Tensor,
    bias: Tensor,
    mix: Tensor,
    pool_mix: Tensor | None,
    windows: Windows,
) -> Sequence[Tensor]:
    """What one node adds to all later ones: ``acc + sum_o mix_o relu(conv_o(x) + bias_o) + pools``.

    Args:
        x: the node's value ``[B, C_in, L]``.
        acc: what earlier nodes added, E tensors ``[B, C, L]``; None for zeros.
        kernels: ``[E, O, C, C_in, K]``; the padding keeps the length.
        bias: ``[E, O, C]``.
        mix: weights of the convolutions ``[E, O]``.
        pool_mix: weights ``[E, 3]`` of x itself, its average and its maximum over 3 steps; None for no pools.
        windows: which taps of each operation are used; here all are.

    Returns:
        E tensors ``[B, C, L]``.
    """
    num_edges, num_ops, channels, _, taps = kernels.shape
    y = x.new_zeros(num_edges, x.shape[0], channels, x.shape[2])
    if num_ops:
        z = F.conv1d(x, kernels.flatten(0, 2), bias.flatten(), padding=taps // 2).relu()  # [B, E * O * C, L]
        y = torch.einsum("beocl,eo->ebcl", z.unflatten(1, (num_edges, num_ops, channels)), mix)
    if pool_mix is not None:
        y = y + mix_pools(x, pool_mix)
    return y.unbind() if acc is None else [a + b for a, b in zip(acc, y.unbind(), strict=True)]


def convolve(x: Tensor, weight: Tensor, stride: int, dilation: int) -> Tensor:
    """A convolution with the padding that makes ``ceil(L / stride)`` steps of L, for an odd number of taps.

    Args:
        x: ``[B, C_in, L]``.
        weight: ``[C_out, C_in / groups, K]``.
        stride: of the output.
        dilation: steps between taps.
    """
    half = dilation * (weight.shape[2] // 2)
    return F.conv1d(x, weight, None, stride, half, dilation, x.shape[1] // weight.shape[1])


def mix_pools(x: Tensor, pool_mix: Tensor) -> Tensor:
    """The weighted sum ``[E, B, C, L]`` of x, its average and its maximum over 3 steps; ``pool_mix [E, 3]``."""
    pools = torch.stack([x, F.avg_pool1d(x, 3, 1, 1, count_include_pad=False), F.max_pool1d(x, 3, 1, 1)])
    return torch.einsum("pbcl,ep->ebcl", pools, pool_mix)


def fold_batch_norm(x: Tensor, kernels: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Fold the BatchNorm (in training, without affine parameters) that follows a convolution of x into its kernels.

    Args:
        x: ``[B, C_in, L]``.
        kernels: ``[E, O, C, C_in, K]``.
        eps: of the BatchNorm.

    Returns:
        Kernels and bias ``[E, O, C]`` of a convolution whose output is normalised, and the statistics it took: mean and
        biased variance ``[E, O, C]``, which carry no gradient.
    """
    with torch.autocast(x.device.type, enabled=False):  # statistics need more than half precision
        wide = torch.promote_types(x.dtype, torch.float32)
        mean, covariance = patch_moments(x.to(wide), kernels.shape[-1])
        folded, bias, mean, variance = fold_moments(kernels.to(wide), mean, covariance, eps)
    return folded.to(kernels.dtype), bias.to(kernels.dtype), mean, variance


def patch_moments(x: Tensor, taps: int) -> tuple[Tensor, Tensor]:
    """Mean ``[C * K]`` and covariance ``[C * K, C * K]`` of the patches of ``x [B, C, L]`` over samples and time."""
    patches = F.pad(x, (taps // 2, taps // 2)).unfold(2, taps, 1)  # [B, C, L, K]
    rows = patches.permute(1, 3, 0, 2).reshape(x.shape[1] * taps, -1)  # [C * K, B * L]
    mean = rows.mean(1)
    centred = rows - mean[:, None]
    return mean, centred @ centred.T / rows.shape[1]


def fold_moments(
    kernels: Tensor, patch_mean: Tensor, patch_covariance: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """``fold_batch_norm`` from the moments of the patches.

    A convolution w has mean ``w . m`` and variance ``w . S . w`` where m and S are mean and covariance of the patches,
    so that its statistics are known before its output is.
    """
    rows = kernels.flatten(0, 2).flatten(1)  # [E * O * C, C_in * K]
    mean = (rows @ patch_mean).view(kernels.shape[:3])
    variance = ((rows @ patch_covariance) * rows).sum(1).view(kernels.shape[:3])
    folded, bias = fold_statistics(kernels, mean, variance, eps)
    return folded, bias, mean.detach(), variance.detach()


def fold_statistics(kernels: Tensor, mean: Tensor, variance: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """Kernels and bias of convolutions followed by a BatchNorm of these statistics ``[E, O, C]``."""
    scale = torch.rsqrt(variance + eps)
    return kernels * scale[..., None, None], -mean * scale
