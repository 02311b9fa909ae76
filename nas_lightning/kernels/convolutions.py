"""A convolution by the compiled kernel, differentiable any number of times, for float32 and float64 on the CPU.

Letters: B samples, C channels, L time steps, K taps. What a convolution makes of x and weights is linear in both, and
so are its gradients: the derivatives of each of the three functions here are the two others.
"""

import ctypes
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import torch
from torch import Tensor

from nas_lightning.kernels.build import library
from nas_lightning.kernels.network_ops import Program
from nas_lightning.kernels.workspaces import Workspace


def convolve(x: Tensor, weight: Tensor, stride: int, dilation: int) -> Tensor:
    """``F.conv1d`` with the padding that makes ``ceil(L / stride)`` steps; made for long depthwise convolutions.

    Args:
        x: ``[B, C_in, L]``.
        weight: ``[C_out, C_in / groups, K]``, of the type of x.
        stride: see ``network_ops.STRIDES``.
        dilation: steps between taps.

    Raises:
        UnsupportedError: for another stride, or an even K.
        ValueError: if shapes or types do not fit each other.
    """
    channels, ins_each, _ = weight.shape
    groups, rest = divmod(x.shape[1], ins_each)
    if rest or channels % groups or x.dtype != weight.dtype:
        raise ValueError(f"convolve: x {list(x.shape)} and weight {list(weight.shape)} do not fit each other")
    layer = _layer(tuple(x.shape[1:]), tuple(weight.shape), stride, dilation)
    # Made fit out here and not within the functions, which could not be differentiated by what they make themselves.
    return cast(Tensor, _Convolve.apply(x.contiguous(), weight.contiguous(), layer))


@dataclass(frozen=True, eq=False)
class _Layer:
    """A program of nothing but a convolution, and the shape of its weights."""

    program: Program
    weights: tuple[int, ...]

    def call(self, name: str, *arguments: Tensor) -> None:
        """Call a kernel; the first argument has as many samples as the others."""
        pointers = [ctypes.c_void_p(tensor.data_ptr()) for tensor in arguments]
        header = self.program.header(len(arguments[0]))
        getattr(library(arguments[0].dtype), name)(ctypes.byref(header), *pointers)

    def workspace(self, like: Tensor) -> Workspace:
        """For the planes of so many samples."""
        return Workspace(self.program.layout(len(like))[1], like.dtype)


@lru_cache(maxsize=256)
def _layer(samples: tuple[int, ...], weights: tuple[int, ...], stride: int, dilation: int) -> _Layer:
    program = Program(*samples)
    program.convolve(torch.empty(0), 0, weights, stride, dilation, program.inputs)
    return _Layer(program, weights)


class _Convolve(torch.autograd.Function):
    """y of x and weights."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, layer: _Layer) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.layer, values = layer, layer.workspace(x)
        y = x.new_empty(len(x), len(weight), layer.program.lengths[-1])
        layer.call("convolution_forward", x, weight, values.data, y)
        return y

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        (x, weight), (wants_x, wants_weight, _), g = ctx.saved_tensors, ctx.needs_input_grad, g.contiguous()
        d_x = _ToInputs.apply(g, weight, ctx.layer) if wants_x else None
        return d_x, _ToWeights.apply(x, g, ctx.layer) if wants_weight else None, None


class _ToInputs(torch.autograd.Function):
    """The gradient of x, of that of y and weights."""

    @staticmethod
    def forward(ctx: Any, g: Tensor, weight: Tensor, layer: _Layer) -> Tensor:
        ctx.save_for_backward(g, weight)
        ctx.layer, grads = layer, layer.workspace(g)
        d_x = g.new_empty(len(g), len(layer.program.inputs), layer.program.lengths[0])
        layer.call("convolution_to_inputs", g, weight, grads.data.zero_(), d_x)
        return d_x

    @staticmethod
    def backward(ctx: Any, u: Tensor) -> tuple[Tensor | None, ...]:
        (g, weight), (wants_g, wants_weight, _), u = ctx.saved_tensors, ctx.needs_input_grad, u.contiguous()
        d_g = _Convolve.apply(u, weight, ctx.layer) if wants_g else None
        return d_g, _ToWeights.apply(u, g, ctx.layer) if wants_weight else None, None


class _ToWeights(torch.autograd.Function):
    """The gradient of the weights, of x and the gradient of y."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, g: Tensor, layer: _Layer) -> Tensor:
        ctx.save_for_backward(x, g)
        ctx.layer, values, grads = layer, layer.workspace(x), layer.workspace(x)
        d_weight = x.new_zeros(layer.weights)
        layer.call("convolution_to_weights", x, g, values.data, grads.data, d_weight)
        return d_weight

    @staticmethod
    def backward(ctx: Any, u: Tensor) -> tuple[Tensor | None, ...]:
        (x, g), (wants_x, wants_g, _), u = ctx.saved_tensors, ctx.needs_input_grad, u.contiguous()
        d_x = _ToInputs.apply(g, u, ctx.layer) if wants_x else None
        return d_x, _Convolve.apply(x, u, ctx.layer) if wants_g else None, None
