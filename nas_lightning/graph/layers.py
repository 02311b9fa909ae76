"""The one list of what a deployed network may be made of.

What a layer costs, how it is rounded, written and run stands where that is done, in one table each, with a row for
every kind here: ``tests/contract/test_layers.py`` lists the tables.
"""

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from nas_lightning.graph.norm import ChannelAffine


class WholeLayer(nn.Module):
    """A module that is one layer: the graph does not look into it, and names it where it is of no kind."""


@dataclass(frozen=True)
class LayerKind:
    """A kind of layer.

    Attributes:
        name: the key of the tables.
        label: its name in ``cost.json``.
        matches: whether a module, or the call of a function, is one.
        compute: what the call of the function computes; None for a module.
        in_place: whether it reads one element for each that it makes, so that what it makes can take the place of the
            first value that it reads.
    """

    name: str
    label: str
    matches: Callable[[Any], bool]
    compute: Callable[..., Tensor] | None = None
    in_place: bool = False


def _is(module: type[nn.Module], condition: Callable[[Any], bool] = lambda found: True) -> Callable[[Any], bool]:
    return lambda found: type(found) is module and condition(found)


def one(size: int | tuple[int, ...]) -> int:
    """The number that a setting of a layer is, which may be a tuple of one.

    >>> one(3), one((3,))
    (3, 3)
    """
    return size if isinstance(size, int) else size[0]


def _is_split(pool: Any) -> bool:
    """Whether the windows of a pool lie side by side, so that each value is read once."""
    found = (one(pool.kernel_size), one(pool.padding), one(getattr(pool, "dilation", 1)))
    return found == (one(pool.stride), 0, 1)


def _calls(function: Any, dims: tuple[int, ...]) -> Callable[[Any], bool]:
    """Whether a node calls a function over one of these dimensions, and with nothing else to say."""
    return lambda found: (
        isinstance(found, fx.Node)
        and found.target == function
        and (*found.args[1:], *found.kwargs.values()) in [(dim,) for dim in dims]
        and found.kwargs.keys() <= {"dim"}
    )


def _adds(found: Any) -> bool:
    """Whether a node adds two values."""
    is_sum = isinstance(found, fx.Node) and found.target in (operator.add, operator.iadd, torch.add)
    return is_sum and [type(value) for value in found.args] == [fx.Node] * 2 and not found.kwargs


_LAYERS = (
    LayerKind("affine", "ChannelAffine", _is(ChannelAffine), in_place=True),
    LayerKind("conv", "Conv1d", _is(nn.Conv1d, lambda conv: conv.groups == 1 and conv.kernel_size != (1,))),
    LayerKind("pointwise", "Conv1d", _is(nn.Conv1d, lambda conv: conv.groups == 1 and conv.kernel_size == (1,))),
    LayerKind("depthwise", "Conv1d", _is(nn.Conv1d, lambda conv: conv.groups > 1)),
    LayerKind("linear", "Linear", _is(nn.Linear)),
    LayerKind("relu", "ReLU", _is(nn.ReLU), in_place=True),
    LayerKind("max_pool", "MaxPool1d", _is(nn.MaxPool1d, lambda pool: not _is_split(pool))),
    LayerKind("avg_pool", "AvgPool1d", _is(nn.AvgPool1d, lambda pool: not _is_split(pool))),
    LayerKind("segment_max", "MaxPool1d", _is(nn.MaxPool1d, _is_split)),
    LayerKind("segment_mean", "AvgPool1d", _is(nn.AvgPool1d, _is_split)),
    LayerKind("flatten", "Flatten", _is(nn.Flatten, lambda found: (found.start_dim, found.end_dim) == (1, -1))),
    LayerKind("concat", "Concat", _calls(torch.cat, (1, -2)), lambda *values: torch.cat(values, dim=1)),
    LayerKind("global_avg_pool", "GlobalAvgPool", _calls("mean", (2, -1)), lambda x: x.mean(2)),
    LayerKind("add", "Add", _adds, lambda x, y: x + y, in_place=True),
)

LAYERS = {kind.name: kind for kind in _LAYERS}
"""All kinds, by name."""

SEGMENTS = ("segment_max", "segment_mean")
"""Pools whose windows lie side by side."""

POOLS = ("max_pool", "avg_pool", *SEGMENTS)
WITHIN_OTHERS = ("relu", "flatten")
"""What runs within the layer before it, or does nothing, in integers and on an NPU."""

CONVOLUTIONS = ("conv", "pointwise", "depthwise")
PRODUCTS = (*CONVOLUTIONS, "linear")
"""What has weights."""


def kind_of(found: nn.Module | fx.Node) -> LayerKind | None:
    """The kind of a module or of the call of a function; None for one that is not in the list."""
    return next((kind for kind in _LAYERS if kind.matches(found)), None)
