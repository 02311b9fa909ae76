"""What a neural processing unit (NPU) accelerates: layer by layer, and before the search.

The rules are those of the TI NPU. Two documents about it differ, so there are two profiles: ``strict`` takes the
narrower of each rule (``npu_guidelines.rst``), ``relaxed`` the wider (``NPU_CONFIGURATION_GUIDELINES.md``), both of
TI tinyml-tensorlab. A layer that breaks a rule still runs, on the CPU.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import nn

from nas_lightning.cost.exact import Layer, layers_of
from nas_lightning.space.cells.size import Size
from nas_lightning.space.ops import OPS

_MULTIPLE = 4  # of channels
_LEAST_FEATURES = 16  # of a linear layer
_MOST_POOL = 4  # width of a maximum pool
_MOST_STRIDE = 2


@dataclass(frozen=True)
class Profile:
    """One reading of the rules.

    Attributes:
        most_taps: of a convolution.
        pads_channels: whether input channels that are no multiple of 4 are padded; else only 1 or a multiple is taken.
        needs_multiple_features: whether the inputs of a linear layer must be a multiple of 4.
    """

    most_taps: float
    pads_channels: bool
    needs_multiple_features: bool


PROFILES = {
    "strict": Profile(most_taps=7, pads_channels=False, needs_multiple_features=True),
    "relaxed": Profile(most_taps=math.inf, pads_channels=True, needs_multiple_features=False),
}


def round_channels(size: Size) -> Size:
    """The size with initial channels that are a multiple of 4, as all channels behind them then are."""
    return replace(size, init_channels=math.ceil(size.init_channels / _MULTIPLE) * _MULTIPLE)


def accelerated_ops(ops: Sequence[str], profile: Profile) -> tuple[str, ...]:
    """The operations whose layers are all accelerated, at stride 1 and 2; ``none`` has no layers."""
    return tuple(op for op in ops if op == "none" or _is_accelerated(op, profile))


def _is_accelerated(op: str, profile: Profile) -> bool:
    modules = [OPS[op](_MULTIPLE, stride, True) for stride in (1, 2)]
    layers = [layer for module in modules for layer in layers_of(module, _MULTIPLE, 16)]
    return all(_objection(layer, profile, is_first=False) is None for layer in layers)


@dataclass(frozen=True)
class NpuRow:
    """Whether a layer is accelerated, and why it is not."""

    layer: str
    kind: str
    accelerated: bool
    reason: str


def npu_report(network: nn.Module, in_channels: int, length: int, profile: Profile) -> tuple[NpuRow, ...]:
    """A row for each layer of a network; ``cost.json`` holds them as ``npu_report``."""
    rows = []
    is_first = True
    for layer in layers_of(network, in_channels, length):
        if layer.kind == "ReLU":  # runs within the layer before it
            continue
        objection = _objection(layer, profile, is_first)
        is_first = is_first and layer.kind != "Conv1d"
        rows.append(NpuRow(layer.name, layer.kind, objection is None, objection or "meets the rules"))
    return tuple(rows)


def _objection(layer: Layer, profile: Profile, is_first: bool) -> str | None:
    """What keeps a layer from being accelerated, or None."""
    module, channels = layer.module, layer.in_shape[1]
    match module:
        case nn.Conv1d(groups=1):
            return _conv_objection(module, profile, is_first)
        case nn.Conv1d():
            return _channel_objection(channels) or _taps_objection(module.kernel_size[0], module.dilation[0], profile)
        case nn.AvgPool1d():  # run as a depthwise convolution
            return _channel_objection(channels) or _taps_objection(_width(module), 1, profile)
        case nn.MaxPool1d():
            if _width(module) > _MOST_POOL:
                return f"a maximum pool of {_width(module)}; allowed: up to {_MOST_POOL}"
            return _channel_objection(channels)
        case nn.Linear():
            return _linear_objection(module.in_features, profile)
        case nn.ReLU() | nn.Identity():
            return None
    if layer.kind == "GlobalAvgPool":
        if layer.in_shape[2] <= 2:
            return f"a global average of {layer.in_shape[2]} steps; allowed: more than 2"
        return _channel_objection(channels)
    return f"{layer.kind} is not a layer of the NPU"


def _conv_objection(conv: nn.Conv1d, profile: Profile, is_first: bool) -> str | None:
    is_single = is_first and conv.in_channels == 1
    if not is_single and not profile.pads_channels:
        wrong = _channel_objection(conv.in_channels)
        if wrong:
            return wrong + (" (or 1 in the first convolution)" if is_first else "")
    if conv.out_channels % _MULTIPLE:
        return f"{conv.out_channels} output channels; allowed: a multiple of {_MULTIPLE}"
    if conv.stride[0] > _MOST_STRIDE:
        return f"stride {conv.stride[0]}; allowed: 1 or {_MOST_STRIDE}"
    return _taps_objection(conv.kernel_size[0], conv.dilation[0], profile)


def _channel_objection(channels: int) -> str | None:
    return f"{channels} channels; allowed: a multiple of {_MULTIPLE}" if channels % _MULTIPLE else None


def _taps_objection(taps: int, dilation: int, profile: Profile) -> str | None:
    if dilation > 1:
        return f"dilation {dilation}; allowed: 1"
    return f"{taps} taps; allowed: up to {profile.most_taps:.0f}" if taps > profile.most_taps else None


def _linear_objection(features: int, profile: Profile) -> str | None:
    if features < _LEAST_FEATURES:
        return f"{features} inputs of the linear layer; allowed: {_LEAST_FEATURES} or more"
    if profile.needs_multiple_features and features % _MULTIPLE:
        return f"{features} inputs of the linear layer; allowed: a multiple of {_MULTIPLE}"
    return None


def _width(pool: nn.AvgPool1d | nn.MaxPool1d) -> int:
    return pool.kernel_size[0] if isinstance(pool.kernel_size, tuple) else pool.kernel_size
