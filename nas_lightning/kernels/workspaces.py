"""Memory that is used again from step to step: a small network takes longer to get fresh pages than to compute."""

from collections import deque

import torch
from torch import Tensor

# The values of two passes, for those of the last may live on with its loss, and gradients.
_SPARE: deque[Tensor] = deque(maxlen=3)


class Workspace:
    """Elements of any content, whose memory goes to the next workspace once this object is gone.

    Args:
        size: how many.
        dtype: of them.

    Attributes:
        data: the elements ``[size]``.
    """

    def __init__(self, size: int, dtype: torch.dtype) -> None:
        num_bytes = size * dtype.itemsize
        memory = _SPARE.pop() if _SPARE else None
        if memory is None or len(memory) < num_bytes:
            memory = torch.empty(num_bytes, dtype=torch.uint8)
        self._memory, self.data = memory, memory[:num_bytes].view(dtype)

    def __del__(self) -> None:
        if hasattr(self, "_memory"):  # not where there was none to be had
            _SPARE.append(self._memory)
