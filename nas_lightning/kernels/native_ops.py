"""The operations of ``torch_ops`` by compiled kernels, for float32 and float64 on the CPU; differentiable twice."""

import ctypes
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nas_lightning.kernels.build import library
from nas_lightning.kernels.convolutions import convolve
from nas_lightning.kernels.torch_ops import Windows, mix_pools

__all__ = ["convolve", "fold_batch_norm", "mixture"]


class _Shape(ctypes.Structure):
    """``MixtureShape`` of native.cpp."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("batch", "in_channels", "channels", "length", "edges", "ops")),
        *((name, ctypes.c_int32) for name in ("taps", "has_pools")),
        *((name, ctypes.POINTER(ctypes.c_int32)) for name in ("lo", "hi")),
    )
    mask_bytes: int


def _call(name: str, dtype: torch.dtype, *arguments: Any) -> None:
    """Call a kernel: tensors become pointers, None a null pointer; the number of threads is PyTorch's."""
    plain = [ctypes.c_void_p(a.data_ptr()) if isinstance(a, Tensor) else a for a in arguments]
    getattr(library(dtype), name)(*plain, torch.get_num_threads())


@lru_cache
def _cached_shape(sizes: tuple[int, ...], windows: Windows, dtype: torch.dtype) -> _Shape:
    lo, hi = ((ctypes.c_int32 * len(windows))(*(window[end] for window in windows)) for end in (0, 1))
    shape = _Shape(*sizes, lo, hi)
    shape.mask_bytes = library(dtype).mask_bytes(ctypes.byref(shape))
    return shape


def _shape(x: Tensor, kernels: Tensor, has_pools: bool, windows: Windows) -> _Shape:
    num_edges, num_ops, channels, in_channels, taps = kernels.shape
    sizes = (x.shape[0], in_channels, channels, x.shape[2], num_edges, num_ops, taps, has_pools)
    return _cached_shape(sizes, tuple(windows), x.dtype)


class _Mixture(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, kernels, bias, mix, pool_mix, windows, *acc):  # type: ignore[no-untyped-def]
        ctx.shape = _shape(x, kernels, pool_mix is not None, windows)
        num_edges, _, channels, _, _ = kernels.shape
        masks = torch.empty(ctx.shape.mask_bytes, dtype=torch.uint8)
        y = [x.new_empty(x.shape[0], channels, x.shape[2]) for _ in range(num_edges)]
        pointers = _pointers(acc) if acc else None
        arguments = (x, None, pointers, kernels, bias, mix, pool_mix, masks, _pointers(y))
        _call("mixture_forward", x.dtype, ctypes.byref(ctx.shape), *arguments)
        ctx.save_for_backward(x, kernels, bias, mix, pool_mix, masks)
        ctx.has_acc = bool(acc)
        ctx.set_materialize_grads(False)
        return tuple(y)

    @staticmethod
    def backward(ctx, *grad_y):  # type: ignore[no-untyped-def]
        if any(g is None for g in grad_y):
            like = next(g for g in grad_y if g is not None)
            grad_y = tuple(torch.zeros_like(like) if g is None else g for g in grad_y)
        grads = _MixtureGradient.apply(*ctx.saved_tensors, ctx.shape, *grad_y)
        return *grads, None, *(grad_y if ctx.has_acc else ())


class _MixtureGradient(torch.autograd.Function):
    """Gradients of x, kernels, bias, mix and pool mix.

    With q = sign * grad_y the gradient is linear in per-unit sums: ``D = sum q patch(x)`` for the kernels and
    ``d = sum q`` for the bias; the gradient of mix is ``kernels . D + bias d``, because a ReLU scales with its input.
    """

    @staticmethod
    def forward(ctx, x, kernels, bias, mix, pool_mix, masks, shape, *grad_y):  # type: ignore[no-untyped-def]
        ctx.set_materialize_grads(False)
        grad_y = [g.contiguous() for g in grad_y]
        d_kernels, d_bias, d_mix = torch.empty_like(kernels), torch.empty_like(bias), torch.empty_like(mix)
        outputs = (d_kernels, d_bias, d_mix)
        d_x, d_pool_mix, *units = _backward(grad_y, x, x, kernels, bias, mix, pool_mix, masks, outputs, shape)
        ctx.save_for_backward(x, kernels, bias, mix, pool_mix, masks, *units, *grad_y)
        ctx.shape = shape
        return d_x, *outputs, d_pool_mix

    @staticmethod
    @once_differentiable
    def backward(ctx, u_x, u_kernels, u_bias, u_mix, u_pool_mix):  # type: ignore[no-untyped-def]
        x, kernels, bias, mix, pool_mix, masks, unit_kernels, unit_bias, *grad_y = ctx.saved_tensors
        like = ((u_x, x), (u_kernels, kernels), (u_bias, bias), (u_mix, mix))
        u_x, u_kernels, u_bias, u_mix = (torch.zeros_like(t) if u is None else u for u, t in like)
        u_x = u_x.contiguous()
        # To grad_y: the tangent of the mixture along (u_x, u_kernels, u_bias, u_mix), at the signs of the first pass.
        tangent_kernels = _scale(u_kernels, mix) + _scale(kernels, u_mix)
        tangent_bias = _scale(u_bias, mix) + _scale(bias, u_mix)
        both = torch.cat([_scale(kernels, mix), tangent_kernels], dim=3)  # for the channels of u_x, then those of x
        g_grad_y = [torch.empty_like(g) for g in grad_y]
        arguments = (x, u_x, None, both, tangent_bias, None, pool_mix, masks, _pointers(g_grad_y))
        _call("mixture_forward", x.dtype, ctypes.byref(ctx.shape), *arguments)
        # To the rest: the first pass again, with u_x in the place of x and the tangent in that of the kernels.
        no_pools = None if pool_mix is None else torch.zeros_like(pool_mix)
        sums = _backward(grad_y, u_x, x, tangent_kernels, None, None, no_pools, masks, (None,) * 3, ctx.shape)
        g_x, g_pool_mix, unit_u_kernels, _ = sums
        g_kernels = _scale(unit_u_kernels, mix) + _scale(unit_kernels, u_mix)
        g_mix = (kernels * unit_u_kernels + u_kernels * unit_kernels).sum((2, 3, 4)) + (u_bias * unit_bias).sum(2)
        if u_pool_mix is not None:
            with torch.enable_grad(), torch.autocast("cpu", enabled=False):
                x = x.detach().requires_grad_()
                pooled = mix_pools(x, u_pool_mix)
            g_grad_y = [g + p for g, p in zip(g_grad_y, pooled.detach(), strict=True)]
            g_x += torch.autograd.grad(pooled, x, torch.stack(grad_y))[0]
        return g_x, g_kernels, _scale(unit_bias, u_mix), g_mix, g_pool_mix, None, None, *g_grad_y


def _pointers(tensors: Sequence[Tensor]) -> Any:
    return (ctypes.c_void_p * len(tensors))(*(t.data_ptr() for t in tensors))


def _scale(values: Tensor, mix: Tensor) -> Tensor:
    """``values [E, O, ...]`` times ``mix [E, O]``."""
    return values * mix.reshape(mix.shape + (1,) * (values.dim() - 2))


def _backward(
    grad_y: Sequence[Tensor],
    x: Tensor,
    select: Tensor,
    kernels: Tensor,
    bias: Tensor | None,
    mix: Tensor | None,
    pool_mix: Tensor | None,
    masks: Tensor,
    outputs: Sequence[Tensor | None],
    shape: Any,
) -> tuple[Tensor, Tensor | None, Tensor, Tensor]:
    """Gradients of x and pool mix, and those of kernels and bias per unit of mix; the others go to ``outputs``."""
    d_x, unit_kernels, unit_bias = torch.empty_like(x), torch.empty_like(kernels), kernels.new_empty(kernels.shape[:3])
    d_pool_mix = kernels.new_empty(kernels.shape[0], 3)
    arguments = (x, select, kernels, bias, mix, pool_mix, _pointers(grad_y), masks)
    _call(
        "mixture_backward", x.dtype, ctypes.byref(shape), *arguments, d_x, *outputs, d_pool_mix, unit_kernels, unit_bias
    )
    return d_x, None if pool_mix is None else d_pool_mix, unit_kernels, unit_bias


class _FoldShape(ctypes.Structure):
    """``FoldShape`` of native.cpp."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("batch", "channels", "length", "rows")),
        ("taps", ctypes.c_int32),
        ("eps", ctypes.c_double),
    )


class _FoldBatchNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, kernels, eps):  # type: ignore[no-untyped-def]
        size = x.shape[1] * kernels.shape[-1]
        m, covariance, folded = x.new_empty(size), x.new_empty(size, size), torch.empty_like(kernels)
        mean, variance, bias = (x.new_empty(kernels.shape[:3]) for _ in range(3))
        ctx.shape = _FoldShape(*x.shape, mean.numel(), kernels.shape[-1], eps)
        outputs = (m, covariance, mean, variance, folded, bias)
        _call("fold_forward", x.dtype, ctypes.byref(ctx.shape), x, kernels, *outputs)
        ctx.save_for_backward(x, kernels, m, covariance, mean, variance)
        ctx.mark_non_differentiable(mean, variance)
        ctx.set_materialize_grads(False)
        return folded, bias, mean, variance

    @staticmethod
    def backward(ctx, g_folded, g_bias, *_):  # type: ignore[no-untyped-def]
        kernels = ctx.saved_tensors[1]
        g_folded = torch.zeros_like(kernels) if g_folded is None else g_folded.contiguous()
        g_bias = kernels.new_zeros(kernels.shape[:3]) if g_bias is None else g_bias.contiguous()
        return *_FoldGradient.apply(*ctx.saved_tensors, g_folded, g_bias, ctx.shape), None


class _FoldGradient(torch.autograd.Function):
    """Gradients of x and kernels; the statistics among its arguments are differentiated as functions of both."""

    @staticmethod
    def forward(ctx, x, kernels, m, covariance, mean, variance, g_folded, g_bias, shape):  # type: ignore[no-untyped-def]
        arguments = (x, kernels, m, covariance, mean, variance, g_folded, g_bias)
        g_x, g_kernels = torch.empty_like(x), torch.empty_like(kernels)
        _call("fold_backward", x.dtype, ctypes.byref(shape), *arguments, g_x, g_kernels)
        ctx.save_for_backward(*arguments)
        ctx.shape = shape
        return g_x, g_kernels

    @staticmethod
    @once_differentiable
    def backward(ctx, u_x, u_kernels):  # type: ignore[no-untyped-def]
        x, kernels, *_, g_folded, g_bias = ctx.saved_tensors
        outputs = [torch.empty_like(t) for t in (x, kernels, g_folded, g_bias)]
        arguments = (*ctx.saved_tensors, u_x.contiguous(), u_kernels.contiguous(), *outputs)
        _call("fold_double_backward", x.dtype, ctypes.byref(ctx.shape), *arguments)
        g_x, g_kernels, g_g_folded, g_g_bias = outputs
        return g_x, g_kernels, None, None, None, None, g_g_folded, g_g_bias, None


def mixture(
    x: Tensor,
    acc: Sequence[Tensor] | None,
    kernels: Tensor,
    bias: Tensor,
    mix: Tensor,
    pool_mix: Tensor | None,
    windows: Windows,
) -> Sequence[Tensor]:
    """As ``torch_ops.mixture``; taps outside the windows are taken for zero, and get no gradient.

    Raises:
        ValueError: if shapes do not fit each other; the kernels behind would read and write where they may not.
    """
    num_edges, num_ops, channels, in_channels, taps = kernels.shape
    fits = (
        (x.shape[1], bias.shape, mix.shape) == (in_channels, kernels.shape[:3], kernels.shape[:2])
        and (pool_mix is None or (pool_mix.shape == (num_edges, 3) and channels == in_channels))
        and (not acc or [a.shape for a in acc] == [(x.shape[0], channels, x.shape[2])] * num_edges)
        and len(windows) == num_ops
        and all(0 <= lo <= hi < taps for lo, hi in windows)
    )
    if not fits:
        raise ValueError(
            f"mixture: x {list(x.shape)}, kernels {list(kernels.shape)} and the rest do not fit each other"
        )
    # Made fit out here and not within the function, which could not be differentiated twice by what it makes itself.
    kernels, bias, mix = (t.to(x.dtype).contiguous() for t in (kernels, bias, mix))
    pool_mix = None if pool_mix is None else pool_mix.to(x.dtype).contiguous()
    acc = [a.to(x.dtype).contiguous() for a in acc or ()]
    return _Mixture.apply(x.contiguous(), kernels, bias, mix, pool_mix, windows, *acc)


def fold_batch_norm(x: Tensor, kernels: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """As ``torch_ops.fold_batch_norm``; sums over samples and time are float64."""
    return _FoldBatchNorm.apply(x.contiguous(), kernels.to(x.dtype).contiguous(), eps)
