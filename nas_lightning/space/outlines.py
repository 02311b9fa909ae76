"""Outlines of trunks as a search space: kind, reach, resolution, depth and readout; the budget decides the width."""

import heapq
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from itertools import pairwise
from types import MappingProxyType
from typing import Any

import torch
from torch import nn

from nas_lightning.cost.exact import ADDITIVE, Numbers, PartCost, graph_cost
from nas_lightning.errors import BudgetError, InputError
from nas_lightning.graph.layers import LAYERS
from nas_lightning.graph.norm import ChannelAffine
from nas_lightning.graph.trace import in_a_row
from nas_lightning.space.base import Decisions, Limits, OpWeights, Picks, Projected, meets
from nas_lightning.space.readouts import DEPLOYABLE, Mean, build_readout
from nas_lightning.space.trunk import Block, BlockKind, TrunkBlueprint
from nas_lightning.tasks import Task

_STEPS = 4  # widths to try between two whole numbers of channels of the first block
_MOST_CHANNELS = 512
_LEAST_STEPS = 2  # that the last block must have


@dataclass(frozen=True)
class Outline:
    """What decides a trunk but its width.

    Attributes:
        kind: of the convolutions behind the first one, which is full.
        first: taps of the first convolution.
        decimation: its stride.
        depth: convolutions behind it.
        taps: of each of them.
        stride: of all together, the first one's included.
        growth: channels of a convolution over those of the one before.
        dilation: by which the steps between taps grow from one convolution to the next; 1 for none.
        fill: how much of the narrowest limit is used.
        readout: see ``space.readouts``.
    """

    kind: BlockKind
    first: int
    decimation: int
    depth: int
    taps: int
    stride: int
    growth: float
    dilation: int
    fill: float
    readout: str

    def blocks(self, width: float, multiple: int = 1) -> tuple[Block, ...]:
        """The blocks of a trunk whose first one has about so many channels.

        Args:
            width: channels of the first block before rounding.
            multiple: what the channels of every block are a multiple of.
        """
        left = max(1, self.stride // self.decimation)
        found = [Block("full", _rounded(width, multiple), self.first, self.decimation)]
        for i in range(self.depth):
            width *= self.growth
            step = 2 if left > 1 else 1
            left //= step
            found.append(Block(self.kind, _rounded(width, multiple), self.taps, step, self.dilation**i))
        return tuple(found)

    @property
    def reach(self) -> int:
        """Time steps of the input that a value of the last block sees."""
        steps, apart = 1, 1
        for block in self.blocks(1):
            steps += (block.kernel_size - 1) * block.dilation * apart
            apart *= block.stride
        return steps


FACTORS: Mapping[str, tuple[Any, ...]] = MappingProxyType(
    {
        "kind": ("full", "separable"),
        "first": (7, 15, 31),
        "decimation": (1, 2, 4),
        "depth": (2, 3, 4),
        "taps": (3, 5, 9, 15),
        "stride": (2, 4, 8),
        "growth": (1.0, 1.4),
        "dilation": (1, 2),
        "fill": (0.6, 0.8, 0.95),
        "readout": DEPLOYABLE,
    }
)
"""What each factor of an outline may be."""


class OutlineSpace:
    """Trunks of any outline, each as wide as the limits let it be.

    >>> from nas_lightning.tasks import Classification
    >>> space = OutlineSpace(Classification(1, 128, 3), {"params": 2000})
    >>> outline = Outline("full", 15, 2, 2, 5, 4, 1.4, 1, 0.8, "mean")
    >>> space.cost(outline)["params"], [block.channels for block in space.blueprint(outline).blocks]
    (1529, [8, 11, 16])

    Args:
        task: input channels, length and outputs.
        limits: by measure; at least one.
        factors: what each factor may be; those of ``FACTORS`` where it does not stand.
        numbers: bits, core and allowances; None for 8 bits.
        multiple: what the channels of every block are a multiple of.

    Raises:
        InputError: for a factor that is unknown or has no value, or without a limit.
    """

    Architecture = Outline

    def __init__(
        self,
        task: Task,
        limits: Limits,
        factors: Mapping[str, Sequence[Any]] = FACTORS,
        numbers: Numbers | None = None,
        multiple: int = 1,
    ) -> None:
        names = [field.name for field in fields(Outline)]
        unknown = [name for name in factors if name not in names]
        if unknown or not all(map(len, factors.values())):
            raise InputError(
                f"factors: found {dict(factors)}; allowed: {', '.join(names)}, with one value or more each"
            )
        if not limits:
            raise InputError("limits: found none; allowed: one or more, because the width of a trunk follows from them")
        self.task, self.limits, self.numbers, self.multiple = task, dict(limits), numbers or Numbers(), multiple
        self.factors = {name: tuple(factors.get(name, FACTORS[name])) for name in names}

    @cached_property
    def decisions(self) -> Mapping[str, Decisions]:
        """A table of one row for each factor."""
        return {name: Decisions(tuple(map(str, values)), ("",), (range(1),)) for name, values in self.factors.items()}

    def architecture(self, picks: Picks) -> Outline:
        """What the decisions make."""
        return Outline(**{name: self.factors[name][column] for name, ((_, column),) in picks.items()})

    def picks(self, architecture: Outline) -> Picks:
        """The inverse."""
        return {name: ((0, values.index(getattr(architecture, name))),) for name, values in self.factors.items()}

    def blueprint(self, architecture: Outline) -> TrunkBlueprint:
        """The widest trunk of an outline that uses no more of each limit than ``fill``; the narrowest if none does."""
        return TrunkBlueprint(self._widest(architecture)[0], self.task, architecture.readout)

    def picture(self, architecture: Outline) -> None:
        """None: a row of blocks is said in words."""

    def cost(self, architecture: Outline) -> dict[str, int]:
        """All measures of the trunk of an outline, as ``cost_of`` counts them."""
        return dict(self._widest(architecture)[1])

    def num_params(self, architecture: Outline) -> int:
        """The parameters of that trunk."""
        return self.cost(architecture)["params"]

    def serves(self, outline: Outline) -> bool:
        """Whether samples are long enough for an outline."""
        return math.ceil(self.task.length / max(outline.stride, outline.decimation)) >= _LEAST_STEPS

    def every(self) -> Iterator[Outline]:
        """All outlines for which samples are long enough."""
        found = (Outline(*values) for values in itertools.product(*self.factors.values()))
        return (outline for outline in found if self.serves(outline))

    def project(self, op_weights: OpWeights, limits: Limits) -> Projected[Outline]:
        """The outline with the largest total log op-weight among all that meet every limit.

        Raises:
            BudgetError: if no outline meets them.
        """
        first: tuple[dict[str, int], float] | None = None
        nearest = dict.fromkeys(limits, math.inf)
        for log_weight, outline in self._by_weight(op_weights):
            cost = self.cost(outline)
            first = first or (cost, log_weight)
            if self.serves(outline) and meets(cost, limits):
                return Projected(outline, cost, log_weight, *first)
            nearest = {measure: min(value, cost[measure]) for measure, value in nearest.items()}
        found = {measure: int(value) for measure, value in nearest.items()}
        raise BudgetError("no outline meets", limits, [name for name in limits if found[name] > limits[name]], found)

    def _by_weight(self, op_weights: OpWeights) -> Iterator[tuple[float, Outline]]:
        """All outlines by falling total log op-weight, which is a sum over factors: the best first, lazily."""
        logs = [op_weights[name][0].detach().double().log() for name in self.factors]
        orders = [values.argsort(descending=True, stable=True).tolist() for values in logs]

        def total(ranks: tuple[int, ...]) -> float:
            return float(sum(values[order[rank]] for values, order, rank in zip(logs, orders, ranks, strict=True)))

        start = (0,) * len(orders)
        heap, seen = [(-total(start), start)], {start}
        while heap:
            negative, ranks = heapq.heappop(heap)
            columns = [order[rank] for order, rank in zip(orders, ranks, strict=True)]
            yield -negative, Outline(*(values[i] for values, i in zip(self.factors.values(), columns, strict=True)))
            for i, order in enumerate(orders):
                after = (*ranks[:i], ranks[i] + 1, *ranks[i + 1 :])
                if after[i] < len(order) and after not in seen:
                    seen.add(after)
                    heapq.heappush(heap, (-total(after), after))

    @lru_cache(maxsize=4096)  # noqa: B019 # a space lives as long as its run
    def _widest(self, outline: Outline) -> tuple[tuple[Block, ...], tuple[tuple[str, int], ...]]:
        allowed = {measure: outline.fill * limit for measure, limit in self.limits.items()}

        def fits(width: int) -> bool:
            cost = self._cost(outline.blocks(width / _STEPS, self.multiple), outline.readout)
            return all(cost[measure] <= limit for measure, limit in allowed.items())

        low, high = _STEPS, _MOST_CHANNELS * _STEPS  # the cost grows with the width
        high = high if fits(low) else low
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if fits(middle) else (low, middle - 1)
        blocks = outline.blocks(low / _STEPS, self.multiple)
        return blocks, tuple(self._cost(blocks, outline.readout).items())

    def _cost(self, blocks: tuple[Block, ...], readout: str) -> dict[str, int]:
        parts, channels, length = [], self.task.in_channels, self.task.length
        for i, block in enumerate(blocks):
            parts.append(_block_cost(block, channels, length, i == 0, self.numbers))
            channels, length = block.channels, block.length(length)
        parts.append(_head_cost(readout, channels, length, self.task, self.numbers))
        functions = {signature: size for part in parts for signature, size in part.functions.items()}
        found = {measure: sum(part.sums[measure] for part in parts) for measure in ADDITIVE}
        found["flash_bytes"] += self.numbers.base_bytes + sum(functions.values())
        return found | {"ram_bytes": max(part.ram_bytes for part in parts)}


def _rounded(width: float, multiple: int) -> int:
    return max(1, round(width / multiple)) * multiple


@lru_cache(maxsize=65536)
def _block_cost(block: Block, channels: int, length: int, is_first: bool, numbers: Numbers) -> PartCost:
    with torch.device("meta"):  # computes nothing and draws no random numbers
        layers = [each for each in block.build(channels).modules() if not isinstance(each, nn.Sequential)]
        for conv, norm in pairwise(layers):
            if isinstance(conv, nn.Conv1d) and isinstance(norm, nn.BatchNorm1d):  # which is folded into it
                conv.bias = nn.Parameter(torch.empty(conv.out_channels))
        if is_first:
            layers.insert(0, ChannelAffine(*torch.empty(3, channels)))
    deployed = [each for each in layers if not isinstance(each, nn.BatchNorm1d)]
    return graph_cost(in_a_row(deployed, 1, channels, length), numbers)


@lru_cache(maxsize=65536)
def _head_cost(readout: str, channels: int, length: int, task: Task, numbers: Numbers) -> PartCost:
    with torch.device("meta"):
        built = build_readout(readout, length)
        head = task.head(built.columns(channels))
    reads = [LAYERS["global_avg_pool"]] if isinstance(built, Mean) else built.children()
    return graph_cost(in_a_row([*reads, head], 1, channels, length), numbers)
