"""What an NPU changes of a space before it is searched."""

import math
from collections.abc import Sequence
from dataclasses import replace

from nas_lightning.cost.npu import MULTIPLE, Profile, is_accelerated
from nas_lightning.space.cells.size import Size
from nas_lightning.space.ops import OPS


def round_channels(size: Size) -> Size:
    """The size with initial channels that are a multiple of 4, as all channels behind them then are."""
    return replace(size, init_channels=math.ceil(size.init_channels / MULTIPLE) * MULTIPLE)


def accelerated_ops(ops: Sequence[str], profile: Profile) -> tuple[str, ...]:
    """The operations whose layers are all accelerated, at stride 1 and 2; ``none`` has no layers."""

    def is_kept(op: str) -> bool:
        return op == "none" or all(is_accelerated(OPS[op](MULTIPLE, stride, True), profile) for stride in (1, 2))

    return tuple(filter(is_kept, ops))
