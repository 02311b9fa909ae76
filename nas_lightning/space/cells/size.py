"""What fixes the outline of a network: its size, its task, and the plan of cells that follows from the size."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nas_lightning.errors import InputError

_MOST = 10**9


@dataclass(frozen=True)
class Size:
    """The size of a network, in the words of the user guide.

    Attributes:
        layers: number of cells, at least 3.
        nodes_per_layer: nodes of a cell besides its input node.
        init_channels: channels of the first cells; reduction cells double them.
        init_channel_multiplier: the stem has ``init_channels * init_channel_multiplier`` channels.
        fanout_concat: how many of a cell's last nodes are concatenated to its output.
        post_reduction_stride: stride of the 1x1 convolution that follows a reduction cell, 1 or 2.
        readout: what the linear head sees of the last cell, see ``space.readouts``.

    Raises:
        InputError: if one of them is no whole number of 1 or more.
    """

    layers: int
    nodes_per_layer: int
    init_channels: int
    init_channel_multiplier: int
    fanout_concat: int
    post_reduction_stride: int = 1
    readout: str = "mean"

    def __post_init__(self) -> None:
        _check_counts("size", {name: value for name, value in vars(self).items() if name != "readout"})

    @property
    def num_edges(self) -> int:
        """Edges of a cell: every node sums over all earlier ones."""
        return self.nodes_per_layer * (self.nodes_per_layer + 1) // 2

    @property
    def num_copied(self) -> int:
        """Values that the concatenation of a cell copies: a single one is the cell's output as it is."""
        return self.fanout_concat if self.fanout_concat > 1 else 0

    @property
    def stem_channels(self) -> int:
        """Channels out of the stem."""
        return self.init_channels * self.init_channel_multiplier

    @property
    def out_channels(self) -> int:
        """Channels that reach the linear head."""
        return self.plan()[-1].channels * self.fanout_concat

    @property
    def total_stride(self) -> int:
        """By how much the network divides the input length, rounding up."""
        return math.prod(cell.in_stride * (2 if cell.is_reduction else 1) for cell in self.plan())

    def plan(self) -> list["CellPlan"]:
        """One entry per cell, in order.

        >>> [cell.channels for cell in Size(3, 4, 1, 3, 4).plan()]
        [1, 2, 4]
        """
        return list(_plan(self))

    def lengths(self, length: int) -> list[tuple[int, int]]:
        """For each cell the time steps of node 0 and of its other nodes, for an input of ``length``.

        >>> Size(3, 4, 1, 3, 4).lengths(9)
        [(9, 9), (9, 5), (5, 3)]
        """
        found = []
        for cell in self.plan():
            length_in = math.ceil(length / cell.in_stride)
            length = math.ceil(length_in / 2) if cell.is_reduction else length_in
            found.append((length_in, length))
        return found


@dataclass(frozen=True)
class CellPlan:
    """What one cell is built from: ``in_channels`` come in, every node has ``channels``."""

    in_channels: int
    channels: int
    in_stride: int
    is_reduction: bool

    @property
    def kind(self) -> str:
        """``"normal"`` or ``"reduce"``: which alphas the cell uses."""
        return "reduce" if self.is_reduction else "normal"


def _check_counts(what: str, counts: Mapping[str, Any]) -> None:
    for name, count in counts.items():
        if type(count) is not int or not 1 <= count <= _MOST:
            raise InputError(f"{what}: {name} is {count!r}; allowed: whole numbers from 1 to {_MOST:,}")


def _plan(size: Size) -> Iterator[CellPlan]:
    in_channels, channels, after_reduction = size.stem_channels, size.init_channels, False
    for layer in range(size.layers):
        is_reduction = layer in (size.layers // 3, 2 * size.layers // 3)
        channels *= 2 if is_reduction else 1
        in_stride = size.post_reduction_stride if after_reduction else 1
        yield CellPlan(in_channels, channels, in_stride, is_reduction)
        in_channels, after_reduction = channels * size.fanout_concat, is_reduction


def edges(num_nodes: int) -> list[tuple[int, int]]:
    """The edges of a cell as ``(source, target)``, in the order of the rows of the alphas.

    >>> edges(2)
    [(0, 1), (0, 2), (1, 2)]
    """
    return [(source, target) for target in range(1, num_nodes + 1) for source in range(target)]


def rows_into(node: int) -> range:
    """The rows of the alphas that are the edges into a node, from source 0 on.

    >>> list(rows_into(2))
    [1, 2]
    """
    return range(node * (node - 1) // 2, node * (node + 1) // 2)


def edge_stride(is_reduction: bool, source: int) -> int:
    """The stride of the edges out of a node: 2 out of node 0 of a reduction cell, else 1."""
    return 2 if is_reduction and source == 0 else 1


SIZES = {
    "s": Size(3, 4, 1, 3, 4),
    "m": Size(10, 4, 1, 3, 4),
    "l": Size(12, 4, 4, 3, 4),
    "xl": Size(20, 4, 4, 3, 4),
    "xxl": Size(20, 6, 8, 3, 4),
}
"""The presets of the user guide, as in ``conf/nas_model_size``."""
