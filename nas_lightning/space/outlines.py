"""Outlines of trunks as a search space: kind, reach, resolution, depth and readout; the budget decides the width."""

import heapq
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from itertools import pairwise
from types import MappingProxyType
from typing import Any

import torch
from torch import nn

from nas_lightning.cost.exact import ADDITIVE, Numbers, PartCost, graph_cost
from nas_lightning.cost.npu import MULTIPLE, Profile, is_accelerated
from nas_lightning.errors import BudgetError, InputError
from nas_lightning.graph.layers import LAYERS
from nas_lightning.graph.norm import ChannelAffine
from nas_lightning.graph.trace import in_a_row
from nas_lightning.space.base import Decisions, Limits, OpWeights, Picks, Projected, meets
from nas_lightning.space.readouts import DEPLOYABLE, Mean, build_readout
from nas_lightning.space.shared import SharedBlueprint
from nas_lightning.space.trunk import Block, BlockKind, TrunkBlueprint
from nas_lightning.tasks import Task

CONVOLUTION_KINDS: tuple[BlockKind, ...] = ("full", "separable")
"""What the convolutions behind the first one may be."""

_STEPS = 4  # widths to try between two whole numbers of channels of the first block
_MOST_CHANNELS = 512
_LEAST_STEPS = 2  # that the last block must have


@dataclass(frozen=True)
class Outline:
    """What decides a trunk but its width.

    Attributes:
        kind: of the convolutions behind the first one, which is full.
        first: taps of the first convolution.
        decimation: its stride, if that is not more than that of all together.
        depth: convolutions behind it.
        taps: of each of them.
        stride: of all together, the first one's included, at most: a convolution behind it has 2 at most.
        growth: channels of a convolution over those of the one before.
        dilation: by which the steps between taps grow from one convolution to the next; 1 for none.
        fill: how much of the narrowest limit is used.
        readout: for which the width is chosen, see ``space.readouts``.
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
        decimation = min(self.decimation, self.stride)
        left = self.stride // decimation
        found = [Block("full", _rounded(width, multiple), self.first, decimation)]
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
        "kind": CONVOLUTION_KINDS,
        "first": (7, 15, 31),
        "decimation": (1, 2, 4),
        "depth": (2, 3, 4),
        "taps": (3, 5, 9, 15),
        "stride": (1, 2, 4, 8),
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
        factors: what each factor may be; those of ``FACTORS`` where it does not stand. Strides that leave less than two
            steps of a sample are left out.
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
        strides = self.factors["stride"]
        served = tuple(stride for stride in strides if math.ceil(task.length / stride) >= _LEAST_STEPS)
        self.factors["stride"] = served or (min(strides),)  # where a sample is too short for all, the run says so

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

    def shared(self, architecture: Outline) -> TrunkBlueprint | SharedBlueprint:
        """The same trunk under every readout of the space with which it is within the limits: training chooses one."""
        alone = self.blueprint(architecture)
        fitting = [
            name
            for name in self.factors["readout"]
            if name == alone.readout or meets(self._cost(alone.blocks, name), self.limits)
        ]
        return alone if len(fitting) == 1 else SharedBlueprint(alone.blocks, self.task, tuple(fitting))

    def picture(self, architecture: Outline) -> None:
        """None: a row of blocks is said in words."""

    def cost(self, architecture: Outline) -> dict[str, int]:
        """All measures of the trunk of an outline, as ``cost_of`` counts them."""
        return dict(self._widest(architecture)[1])

    def num_params(self, architecture: Outline) -> int:
        """The parameters of that trunk."""
        return self.cost(architecture)["params"]

    @property
    def total_stride(self) -> int:
        """Steps of the input behind one step of the last block, where they are fewest."""
        return int(min(self.factors["stride"]))

    def every(self) -> Iterator[Outline]:
        """All outlines."""
        return (Outline(*values) for values in itertools.product(*self.factors.values()))

    def check_feasible(self, limits: Limits) -> None:
        """Refuse limits that no outline meets.

        Raises:
            BudgetError: with the limits that bind, and the nearest that can be met.
        """
        nearest = dict.fromkeys(limits, math.inf)
        for cost in self._narrowest():
            if meets(cost, limits):
                return
            nearest = {measure: min(value, cost[measure]) for measure, value in nearest.items()}
        raise _beyond(limits, nearest)

    def least(self, measure: str, limits: Limits) -> int | None:
        """The smallest value of a measure that an outline within the other limits has; None if there is none."""
        others = {name: limit for name, limit in limits.items() if name != measure}
        return min((cost[measure] for cost in self._narrowest() if meets(cost, others)), default=None)

    def _narrowest(self) -> Iterator[dict[str, int]]:
        """What outlines cost where they are narrowest, of equal ones once."""
        known = set()
        for outline in self.every():
            if (trunk := (outline.blocks(1, self.multiple), outline.readout)) not in known:
                known.add(trunk)
                yield self._cost(*trunk)

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
            if meets(cost, limits):
                return Projected(outline, cost, log_weight, *first)
            nearest = {measure: min(value, cost[measure]) for measure, value in nearest.items()}
        raise _beyond(limits, nearest)

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


def accelerated(factors: Mapping[str, Sequence[Any]], profile: Profile) -> dict[str, tuple[Any, ...]]:
    """What is left of each factor where an NPU is to accelerate all convolutions; of readouts the mean alone."""
    blocks: dict[str, Callable[[Any], Block]] = {
        "kind": lambda kind: Block(kind, MULTIPLE, 3),
        "first": lambda taps: Block("full", MULTIPLE, taps),
        "decimation": lambda stride: Block("full", MULTIPLE, 3, stride),
        "taps": lambda taps: Block("full", MULTIPLE, taps),
        "dilation": lambda dilation: Block("full", MULTIPLE, 3, dilation=dilation),
    }

    def is_kept(name: str, value: Any) -> bool:
        if name == "readout":
            return bool(value == "mean")
        return name not in blocks or is_accelerated(blocks[name](value).build(MULTIPLE), profile)

    return {name: tuple(value for value in values if is_kept(name, value)) for name, values in factors.items()}


def _beyond(limits: Limits, nearest: Mapping[str, float]) -> BudgetError:
    found = {measure: int(value) for measure, value in nearest.items()}
    return BudgetError("no outline meets", limits, [name for name in limits if found[name] > limits[name]], found)


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
