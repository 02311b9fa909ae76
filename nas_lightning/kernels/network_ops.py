"""A fixed network in training as one call of a compiled kernel, for float32 and float64 on the CPU.

A ``Program`` is a network written down as the numbers that network.cpp reads. It keeps the network's own parameters and
BatchNorms, so that it trains what it was made from.
"""

import ctypes
import enum
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from nas_lightning.kernels.build import library

GAP = 8
"""``kGap`` of network.cpp: zeros around each sample."""

Planes = list[int]
"""The channels of a value, by their numbers in the program."""


class _Kind(enum.IntEnum):
    """``Kind`` of network.cpp."""

    CONV, NORM, AVERAGE, MAXIMUM, PHASES, MEAN = range(6)


class UnsupportedError(ValueError):
    """A layer has no compiled form; the text names it."""


class Program:
    """A network as a list of layers over planes; called with samples it gives the means of its last channels.

    Args:
        in_channels: of the samples.
        length: time steps of a sample.
    """

    def __init__(self, in_channels: int, length: int) -> None:
        self.lengths: list[int] = []
        self.code: list[int] = []
        self.params: list[Tensor] = []
        self.norms: list[nn.BatchNorm1d] = []
        self.num_features = 0
        self.inputs = self._new(in_channels, length)
        self._phases: dict[tuple[int, ...], Planes] = {}
        self._layouts: dict[int, tuple[Tensor, int]] = {}

    def conv(self, conv: nn.Conv1d, planes: Planes) -> Planes:
        """A convolution without bias, of stride 1 or 2, whose output has ``ceil(length / stride)`` steps.

        Raises:
            UnsupportedError: for any other.
        """
        (stride,), (dilation,), (taps,) = conv.stride, conv.dilation, conv.kernel_size
        half = dilation * (taps // 2)
        is_usual = conv.bias is None and conv.padding_mode == "zeros" and conv.padding == (half,) and taps % 2
        if not is_usual or stride not in (1, 2) or half > GAP:
            raise UnsupportedError(str(conv))
        length = self.lengths[planes[0]]
        sources = planes if stride == 1 else self._split(planes)
        outs = self._new(conv.out_channels, -(-length // stride))
        # Tap k reads step t * stride + k * dilation - half, which is step t + shift of a phase.
        offsets = [k * dilation - half for k in range(taps)]
        places = [number for offset in offsets for number in (offset % stride, offset // stride)]
        header = [self._add(conv.weight), conv.out_channels, conv.in_channels, conv.groups, taps, stride]
        self.code += [_Kind.CONV, *header, *places, *outs, *sources]
        return outs

    def norm(self, norm: nn.BatchNorm1d, planes: Planes, relu: bool) -> Planes:
        """A BatchNorm, and a ReLU behind it; nothing else may read ``planes``.

        Raises:
            UnsupportedError: if it has no parameters or other constants than the usual.
        """
        if not norm.affine or not norm.track_running_stats or (norm.eps, norm.momentum) != (1e-5, 0.1):
            raise UnsupportedError(str(norm))
        outs = self._new(len(planes), self.lengths[planes[0]])
        gamma = self._add(norm.weight)
        self._add(norm.bias)
        self.code += [_Kind.NORM, gamma, 2 * len(self.norms), len(planes), relu, *planes, *outs]
        self.norms.append(norm)
        return outs

    def pool(self, pool: nn.Module, planes: Planes) -> Planes:
        """An average (that does not count the padding) or a maximum over 3 steps.

        Raises:
            UnsupportedError: for any other.
        """
        if not isinstance(pool, (nn.AvgPool1d, nn.MaxPool1d)):
            raise UnsupportedError(str(pool))
        counts_padding = isinstance(pool, nn.AvgPool1d) and pool.count_include_pad
        if (_one(pool.kernel_size), _one(pool.padding)) != (3, 1) or pool.ceil_mode or counts_padding:
            raise UnsupportedError(str(pool))
        stride = _one(pool.stride)
        outs = self._new(len(planes), -(-self.lengths[planes[0]] // stride))
        kind = _Kind.AVERAGE if isinstance(pool, nn.AvgPool1d) else _Kind.MAXIMUM
        self.code += [kind, len(planes), stride, *planes, *outs]
        return outs

    def layers(self, layers: nn.Module, planes: Planes) -> Planes:
        """A pool, the identity, or convolutions and a BatchNorm with ReLU in a row.

        Raises:
            UnsupportedError: for anything else.
        """
        if isinstance(layers, nn.Identity):
            return planes
        if not isinstance(layers, nn.Sequential):
            return self.pool(layers, planes)
        *convs, norm, relu = layers
        if not isinstance(norm, nn.BatchNorm1d) or not isinstance(relu, nn.ReLU):
            raise UnsupportedError(str(layers))
        for conv in convs:
            if not isinstance(conv, nn.Conv1d):
                raise UnsupportedError(str(layers))
            planes = self.conv(conv, planes)
        return self.norm(norm, planes, relu=True)

    def mean(self, planes: Planes) -> None:
        """The end: the mean over time of each plane."""
        self.code += [_Kind.MEAN, len(planes), *planes]
        self.num_features = len(planes)
        self.tables = torch.tensor(self.lengths), torch.tensor(self.code)

    def __call__(self, x: Tensor) -> Tensor:
        """Means of the last channels ``[B, num_features]`` for samples ``[B, C, L]``; updates running statistics."""
        if x.shape[0] * min(self.lengths) < 2:
            raise ValueError("batch normalisation needs more than one value per channel in training")
        torch._foreach_add_([count for norm in self.norms if (count := norm.num_batches_tracked) is not None], 1)
        return _Run.apply(self, x.contiguous(), *self.params)

    def buffers(self) -> list[Tensor]:
        """Running mean and variance of each BatchNorm."""
        both = (buffer for norm in self.norms for buffer in (norm.running_mean, norm.running_var))
        return [buffer for buffer in both if buffer is not None]

    def layout(self, batch: int) -> tuple[Tensor, int]:
        """Where each plane begins in a workspace for so many samples ``[planes]``, and how large it is."""
        if batch not in self._layouts:
            sizes = torch.tensor([GAP + -(-batch * (length + GAP) // GAP) * GAP + GAP for length in self.lengths])
            ends = sizes.cumsum(0)
            self._layouts[batch] = ends - sizes, int(ends[-1])
        return self._layouts[batch]

    def _new(self, channels: int, length: int) -> Planes:
        self.lengths += [length] * channels
        return list(range(len(self.lengths) - channels, len(self.lengths)))

    def _add(self, parameter: Tensor) -> int:
        self.params.append(parameter)
        return len(self.params) - 1

    def _split(self, planes: Planes) -> Planes:
        """The even and the odd steps of each plane, once for all that read them."""
        if tuple(planes) not in self._phases:
            outs = self._new(2 * len(planes), -(-self.lengths[planes[0]] // 2))
            self.code += [_Kind.PHASES, len(planes), *planes, *outs]
            self._phases[tuple(planes)] = outs
        return self._phases[tuple(planes)]


class _Header(ctypes.Structure):
    """``Program`` of network.cpp."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("batch", "in_channels", "planes", "code_size")),
        *((name, ctypes.c_void_p) for name in ("lengths", "offsets", "code")),
    )


class _Run(torch.autograd.Function):
    @staticmethod
    def forward(ctx, program, x, *params):  # type: ignore[no-untyped-def]
        (lengths, code), (offsets, size) = program.tables, program.layout(len(x))
        ctx.header = _Header(len(x), x.shape[1], len(lengths), len(code), *map(_pointer, (lengths, offsets, code)))
        ctx.program = program  # has what the header points at
        values, features = x.new_empty(size), x.new_empty(len(x), program.num_features)
        inverse = x.new_empty(sum(norm.num_features for norm in program.norms))
        call = library(x.dtype).network_forward
        constants = (ctypes.c_double(1e-5), ctypes.c_double(0.1))
        pointers = (_pointers(params), _pointers(program.buffers()))
        call(ctypes.byref(ctx.header), _pointer(x), *pointers, *constants, *map(_pointer, (values, inverse, features)))
        ctx.save_for_backward(values, inverse, *params)
        return features

    @staticmethod
    @once_differentiable
    def backward(ctx, g_features):  # type: ignore[no-untyped-def]
        values, inverse, *params = ctx.saved_tensors
        grads = torch.zeros_like(values)
        flat = values.new_zeros(sum(p.numel() for p in params))
        d_params = [d.view(p.shape) for d, p in zip(flat.split([p.numel() for p in params]), params, strict=True)]
        call = library(values.dtype).network_backward
        workspaces = map(_pointer, (values, inverse, g_features.contiguous(), grads))
        call(ctypes.byref(ctx.header), _pointers(params), *workspaces, _pointers(d_params))
        return None, None, *d_params


def _pointer(tensor: Tensor) -> ctypes.c_void_p:
    return ctypes.c_void_p(tensor.data_ptr())


def _pointers(tensors: Sequence[Tensor]) -> Any:
    return (ctypes.c_void_p * len(tensors))(*(tensor.data_ptr() for tensor in tensors))


def _one(size: Any) -> int:
    return size if isinstance(size, int) else size[0]
