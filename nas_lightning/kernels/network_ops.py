"""A network or supernet in training as one call of a compiled kernel, for float32 and float64 on the CPU.

A ``Program`` is a network written down as the numbers that network.cpp reads. It keeps the network's own parameters and
BatchNorms, so that it trains what it was made from.
"""

import ctypes
import enum
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from nas_lightning.graph.layers import CONVOLUTIONS, SEGMENTS, kind_of, one
from nas_lightning.kernels.build import library
from nas_lightning.kernels.workspaces import Workspace

UNIT = 8
"""``kUnit`` of planes.h: gaps and planes are multiples of so many steps."""

STRIDES = (1, 2, 4)
"""Of a convolution."""

_EPS, _MOMENTUM = 1e-5, 0.1

Planes = list[int]
"""The channels of a value, by their numbers in the program."""


class _Kind(enum.IntEnum):
    """``Kind`` of network.cpp."""

    CONV, NORM, AVERAGE, MAXIMUM, PHASES, MIX, READOUT = range(7)


class Measure(enum.IntEnum):
    """``Measure`` of readouts.h: what of a plane the linear head sees."""

    SEGMENTS, LARGEST, POSITIVE_SHARE, POSITIVE_MEAN = range(4)


class UnsupportedError(ValueError):
    """A layer has no compiled form; the text names it."""


class Statistics(Protocol):
    """What keeps running statistics: a BatchNorm, or several whose statistics are stacked."""

    running_mean: Any
    running_var: Any
    num_batches_tracked: Any


class Program:
    """A network as a list of layers over planes; called with samples it gives what its readouts make of the last ones.

    Weights and statistics may be parts of larger tensors, at a number of elements from the beginning.

    Args:
        in_channels: of the samples.
        length: time steps of a sample.
    """

    def __init__(self, in_channels: int, length: int) -> None:
        self.lengths: list[int] = []
        self.code: list[int] = []
        self.params: list[Tensor] = []
        self.places: list[tuple[int, int]] = []  # position in params, elements
        self.statistics: list[tuple[Statistics, int]] = []
        self.num_normalised, self.num_features = 0, 0
        self._reach: dict[int, int] = {}  # of the taps over planes of a length
        self.inputs = self._new(in_channels, length)
        self._phases: dict[tuple[int, tuple[int, ...]], Planes] = {}
        self._layouts: dict[int, tuple[Tensor, int]] = {}

    def conv(self, conv: nn.Conv1d, planes: Planes) -> Planes:
        """A convolution without bias, of a stride in ``STRIDES``, whose output has ``ceil(length / stride)`` steps.

        Raises:
            UnsupportedError: for any other.
        """
        half = conv.dilation[0] * (conv.kernel_size[0] // 2)
        if conv.bias is not None or conv.padding_mode != "zeros" or conv.padding != (half,):
            raise UnsupportedError(str(conv))
        return self.convolve(conv.weight, 0, tuple(conv.weight.shape), conv.stride[0], conv.dilation[0], planes)

    def convolve(
        self, weight: Tensor, elements: int, shape: tuple[int, ...], stride: int, dilation: int, planes: Planes
    ) -> Planes:
        """A convolution by the part of ``weight`` that begins at ``elements``, of shape ``[C_out, C_in / groups, K]``.

        Raises:
            UnsupportedError: for another stride than those of ``STRIDES``, or an even K.
        """
        channels, ins_each, taps = shape
        half = dilation * (taps // 2)
        if stride not in STRIDES or taps % 2 == 0:
            raise UnsupportedError(f"convolution of stride {stride}, dilation {dilation} and {taps} taps")
        sources = planes if stride == 1 else self._split(planes, stride)
        length = self.lengths[sources[0]]
        outs = self._new(channels, length)
        # Tap k reads step t * stride + k * dilation - half, which is step t + shift of a phase.
        offsets = [k * dilation - half for k in range(taps)]
        places = [(k, offset % stride, offset // stride) for k, offset in enumerate(offsets)]
        used = [place for place in places if abs(place[2]) < length]  # the others meet zeros only
        self._reach[length] = max(self._reach.get(length, 0), *(abs(shift) for _, _, shift in used))
        header = [self._add(weight, elements), channels, len(planes), len(planes) // ins_each, taps, len(used), stride]
        self.code += [_Kind.CONV, *header, *(number for place in used for number in place), *outs, *sources]
        return outs

    def norm(self, norm: nn.BatchNorm1d, planes: Planes, relu: bool) -> Planes:
        """A BatchNorm, and a ReLU behind it; nothing else may read ``planes``.

        Raises:
            UnsupportedError: if it has other constants than the usual.
        """
        if not norm.track_running_stats or (norm.eps, norm.momentum) != (_EPS, _MOMENTUM):
            raise UnsupportedError(str(norm))
        gamma = self._add(norm.weight, 0) if norm.affine else -1
        if norm.affine:
            self._add(norm.bias, 0)
        return self.normalise(norm, 0, gamma, planes, relu)

    def normalise(self, statistics: Statistics, elements: int, gamma: int, planes: Planes, relu: bool) -> Planes:
        """Batch normalisation with the running statistics at ``elements``; gamma -1: without parameters."""
        outs = self._new(len(planes), self.lengths[planes[0]])
        self.code += [_Kind.NORM, gamma, 2 * len(self.statistics), len(planes), relu, *planes, *outs]
        self.statistics.append((statistics, elements))
        self.num_normalised += len(planes)
        return outs

    def pool(self, pool: nn.AvgPool1d | nn.MaxPool1d, planes: Planes) -> Planes:
        """An average (that does not count the padding) or a maximum over 3 steps.

        Raises:
            UnsupportedError: for any other.
        """
        counts_padding = isinstance(pool, nn.AvgPool1d) and pool.count_include_pad
        if (one(pool.kernel_size), one(pool.padding)) != (3, 1) or pool.ceil_mode or counts_padding:
            raise UnsupportedError(str(pool))
        stride = one(pool.stride)
        outs = self._new(len(planes), -(-self.lengths[planes[0]] // stride))
        kind = _Kind.AVERAGE if isinstance(pool, nn.AvgPool1d) else _Kind.MAXIMUM
        self.code += [kind, len(planes), stride, *planes, *outs]
        return outs

    def layers(self, layers: nn.Module, planes: Planes) -> Planes:
        """A layer, the identity, or layers and a BatchNorm with ReLU in a row.

        Raises:
            UnsupportedError: for anything else.
        """
        if isinstance(layers, nn.Identity):
            return planes
        if not isinstance(layers, nn.Sequential):
            return self._layer(layers, planes)
        *body, norm, relu = layers if len(layers) > 1 else (None, None)
        if not isinstance(norm, nn.BatchNorm1d) or not isinstance(relu, nn.ReLU):
            raise UnsupportedError(str(layers))
        for layer in body:
            planes = self._layer(layer, planes)
        return self.norm(norm, planes, relu=True)

    def _layer(self, layer: nn.Module, planes: Planes) -> Planes:
        kind = kind_of(layer)
        write = None if kind is None else WRITERS[kind.name]
        if write is None:
            raise UnsupportedError(str(layer))
        return write(self, layer, planes)

    def mix(self, terms: Sequence[tuple[int, Planes]]) -> Planes:
        """The sum of values, each times the op weight of this number."""
        (_, first), *_ = terms
        outs = self._new(len(first), self.lengths[first[0]])
        listed = [number for place, planes in terms for number in (place, *planes)]
        self.code += [_Kind.MIX, len(outs), len(terms), *outs, *listed]
        return outs

    def mean(self, planes: Planes) -> None:
        """A readout: the mean over time of each plane."""
        self.read(Measure.SEGMENTS, planes)

    def read(self, measure: Measure, planes: Planes, segments: int = 1) -> None:
        """A readout, behind which no layer follows; its columns of the features come behind those of earlier ones.

        Args:
            measure: what it takes of each plane.
            planes: one behind the other.
            segments: how many columns a plane has; more than 1 for ``SEGMENTS`` only.
        """
        self.code += [_Kind.READOUT, measure, segments, self.num_features, len(planes), *planes]
        self.num_features += segments * len(planes)

    @cached_property
    def tables(self) -> tuple[Tensor, Tensor, Tensor]:
        """Steps of a sample and of a gap by plane, and the code, once all is written."""
        gaps = [max(UNIT, -(-self._reach.get(length, 0) // UNIT) * UNIT) for length in self.lengths]
        return torch.tensor(self.lengths), torch.tensor(gaps), torch.tensor(self.code)

    def __call__(self, x: Tensor, op_weights: Tensor | None = None) -> Tensor:
        """Features ``[B, num_features]`` of samples ``[B, C, L]``; updates running statistics.

        Args:
            x: samples.
            op_weights: of the mixtures, one behind the other.
        """
        if x.shape[0] * min(self.lengths) < 2:
            raise ValueError("batch normalisation needs more than one value per channel in training")
        once = {id(owner): owner.num_batches_tracked for owner, _ in self.statistics}
        torch._foreach_add_(list(once.values()), 1)
        return _Run.apply(self, x.contiguous(), op_weights, *self.params)

    def buffers(self) -> Any:
        """Pointers to running mean and variance of each normalisation."""
        return _pointers(
            [(tensor, at) for owner, at in self.statistics for tensor in (owner.running_mean, owner.running_var)]
        )

    def pointers(self, tensors: Sequence[Tensor]) -> Any:
        """Pointers to the parameters, in tensors like those of ``params``."""
        return _pointers([(tensors[i], at) for i, at in self.places])

    def layout(self, batch: int) -> tuple[Tensor, int]:
        """Where each plane begins in a workspace for so many samples ``[planes]``, and how large it is."""
        if batch not in self._layouts:
            lengths, gaps, _ = self.tables
            sizes = 2 * gaps + (batch * (lengths + gaps) + UNIT - 1) // UNIT * UNIT
            ends = sizes.cumsum(0)
            self._layouts[batch] = ends - sizes, int(ends[-1])
        return self._layouts[batch]

    def header(self, batch: int) -> Any:
        """What the kernels read of the program, for so many samples; valid as long as the program."""
        (lengths, gaps, code), (offsets, _) = self.tables, self.layout(batch)
        sizes = (batch, len(self.inputs), len(lengths), len(code), self.num_features)
        return _Header(*sizes, *map(_pointer, (lengths, gaps, offsets, code)))

    def _new(self, channels: int, length: int) -> Planes:
        self.lengths += [length] * channels
        return list(range(len(self.lengths) - channels, len(self.lengths)))

    def _add(self, parameter: Tensor, elements: int) -> int:
        position = next((i for i, known in enumerate(self.params) if known is parameter), len(self.params))
        if position == len(self.params):
            self.params.append(parameter)
        self.places.append((position, elements))
        return len(self.places) - 1

    def _split(self, planes: Planes, stride: int) -> Planes:
        """Every ``stride``-th step of each plane, from the first, the second and so on; once for all that read them."""
        known = stride, tuple(planes)
        if known not in self._phases:
            self._phases[known] = self._new(stride * len(planes), -(-self.lengths[planes[0]] // stride))
            self.code += [_Kind.PHASES, stride, len(planes), *planes, *self._phases[known]]
        return self._phases[known]


WRITERS: dict[str, Callable[[Program, Any, Planes], Planes] | None] = {
    **dict.fromkeys(CONVOLUTIONS, Program.conv),
    **dict.fromkeys(("max_pool", "avg_pool"), Program.pool),
    # Normalisation, readout, head and end are parts of a program of their own; a concatenation is a list of planes.
    **dict.fromkeys((*SEGMENTS, "affine", "linear", "relu", "concat", "global_avg_pool", "add", "flatten"), None),
}
"""By kind of layer what writes it where it stands alone; None for what a network with it leaves to PyTorch."""


class _Header(ctypes.Structure):
    """``Program`` of planes.h."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("batch", "in_channels", "planes", "code_size", "features")),
        *((name, ctypes.c_void_p) for name in ("lengths", "gaps", "offsets", "code")),
    )


class _Run(torch.autograd.Function):
    @staticmethod
    def forward(ctx, program, x, op_weights, *params):  # type: ignore[no-untyped-def]
        ctx.program, ctx.header = program, program.header(len(x))  # which points at what the program has
        _, size = program.layout(len(x))
        ctx.values, features = Workspace(size, x.dtype), x.new_empty(len(x), program.num_features)
        inverse = x.new_empty(program.num_normalised)
        call = library(x.dtype).network_forward
        constants = (ctypes.c_double(_EPS), ctypes.c_double(_MOMENTUM))
        inputs = (_pointer(x), program.pointers(params), _pointer(op_weights), program.buffers())
        call(ctypes.byref(ctx.header), *inputs, *constants, *map(_pointer, (ctx.values.data, inverse, features)))
        ctx.save_for_backward(inverse, op_weights, *params)
        return features

    @staticmethod
    @once_differentiable
    def backward(ctx, g_features):  # type: ignore[no-untyped-def]
        values, (inverse, op_weights, *params) = ctx.values.data, ctx.saved_tensors
        _, _, wants_op_weights, *wants_params = ctx.needs_input_grad
        d_params: list[Tensor | None] = [None] * len(params)
        pointers, d_op_weights = None, torch.zeros_like(op_weights) if wants_op_weights else None
        if any(wants_params):
            sizes = [param.numel() for param in params]
            flat = values.new_zeros(sum(sizes)).split(sizes)
            d_params = [d if p.dim() == 1 else d.view(p.shape) for d, p in zip(flat, params, strict=True)]
            pointers = ctx.program.pointers(d_params)
        grads = Workspace(len(values), values.dtype)
        grads.data.zero_()
        inputs = (ctx.program.pointers(params), *map(_pointer, (op_weights, values, inverse, g_features.contiguous())))
        call = library(values.dtype).network_backward
        call(ctypes.byref(ctx.header), *inputs, _pointer(grads.data), pointers, _pointer(d_op_weights))
        return None, None, d_op_weights, *d_params


def _pointer(tensor: Tensor | None) -> ctypes.c_void_p | None:
    return None if tensor is None else ctypes.c_void_p(tensor.data_ptr())


def _pointers(parts: Iterable[tuple[Tensor, int]]) -> Any:
    """Pointers to elements of tensors."""
    found = [tensor.data_ptr() + at * tensor.element_size() for tensor, at in parts]
    return (ctypes.c_void_p * len(found))(*found)
