"""What a neural processing unit (NPU) accelerates: layer by layer, and before the search.

The rules are those of the TI NPU. Two documents about it differ, so there are two profiles: ``strict`` takes the
narrower of each rule (``npu_guidelines.rst``), ``relaxed`` the wider (``NPU_CONFIGURATION_GUIDELINES.md``), both of
TI tinyml-tensorlab. A layer that breaks a rule still runs, on the CPU.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from torch import nn

from nas_lightning.graph.layers import WITHIN_OTHERS, one
from nas_lightning.graph.trace import Layer, trace

MULTIPLE = 4
"""What the number of channels must be a multiple of."""

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


def is_accelerated(part: nn.Module, profile: Profile) -> bool:
    """Whether all layers of a part of a network with ``MULTIPLE`` input channels are accelerated."""
    return all(_objection(layer, profile, is_first=False) is None for layer in trace(part, MULTIPLE, 16).layers)


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
    for layer in trace(network, in_channels, length).layers:
        if layer.kind.name in WITHIN_OTHERS:  # nothing of its own runs
            continue
        objection = _objection(layer, profile, is_first)
        is_first = is_first and layer.kind.label != "Conv1d"
        rows.append(NpuRow(layer.name, layer.kind.label, objection is None, objection or "meets the rules"))
    return tuple(rows)


def _objection(layer: Layer, profile: Profile, is_first: bool) -> str | None:
    """What keeps a layer from being accelerated, or None."""
    rule = RULES[layer.kind.name]
    return f"{layer.kind.label} is not a layer of the NPU" if rule is None else rule(layer, profile, is_first)


def _conv_objection(layer: Layer, profile: Profile, is_first: bool) -> str | None:
    conv = cast(nn.Conv1d, layer.module)
    is_single = is_first and conv.in_channels == 1
    if not is_single and not profile.pads_channels:
        wrong = _channel_objection(conv.in_channels)
        if wrong:
            return wrong + (" (or 1 in the first convolution)" if is_first else "")
    if conv.out_channels % MULTIPLE:
        return f"{conv.out_channels} output channels; allowed: a multiple of {MULTIPLE}"
    if conv.stride[0] > _MOST_STRIDE:
        return f"stride {conv.stride[0]}; allowed: 1 or {_MOST_STRIDE}"
    return _taps_objection(conv.kernel_size[0], conv.dilation[0], profile)


def _channel_objection(channels: int) -> str | None:
    return f"{channels} channels; allowed: a multiple of {MULTIPLE}" if channels % MULTIPLE else None


def _taps_objection(taps: int, dilation: int, profile: Profile) -> str | None:
    if dilation > 1:
        return f"dilation {dilation}; allowed: 1"
    return f"{taps} taps; allowed: up to {profile.most_taps:.0f}" if taps > profile.most_taps else None


def _linear_objection(layer: Layer, profile: Profile, is_first: bool) -> str | None:
    features = layer.in_shape[1]
    if features < _LEAST_FEATURES:
        return f"{features} inputs of the linear layer; allowed: {_LEAST_FEATURES} or more"
    if profile.needs_multiple_features and features % MULTIPLE:
        return f"{features} inputs of the linear layer; allowed: a multiple of {MULTIPLE}"
    return None


def _depthwise_objection(layer: Layer, profile: Profile, is_first: bool) -> str | None:
    """Of a depthwise convolution, and of an average pool, which runs as one."""
    module: Any = layer.module
    dilation = module.dilation[0] if isinstance(module, nn.Conv1d) else 1
    return _channel_objection(layer.in_shape[1]) or _taps_objection(one(module.kernel_size), dilation, profile)


def _max_pool_objection(layer: Layer, profile: Profile, is_first: bool) -> str | None:
    width = one(cast(Any, layer.module).kernel_size)
    if width > _MOST_POOL:
        return f"a maximum pool of {width}; allowed: up to {_MOST_POOL}"
    return _channel_objection(layer.in_shape[1])


def _average_objection(layer: Layer, profile: Profile, is_first: bool) -> str | None:
    if layer.in_shape[2] <= 2:
        return f"a global average of {layer.in_shape[2]} steps; allowed: more than 2"
    return _channel_objection(layer.in_shape[1])


RULES: dict[str, Callable[[Layer, Profile, bool], str | None] | None] = {
    **dict.fromkeys(("conv", "pointwise"), _conv_objection),
    **dict.fromkeys(("depthwise", "avg_pool", "segment_mean"), _depthwise_objection),
    **dict.fromkeys(("affine", "concat", "add"), None),
    "linear": _linear_objection,
    **dict.fromkeys(WITHIN_OTHERS, lambda layer, profile, is_first: None),
    **dict.fromkeys(("max_pool", "segment_max"), _max_pool_objection),
    "global_avg_pool": _average_objection,
}
"""By kind what keeps a layer from being accelerated, or None where it is no layer of the NPU."""
