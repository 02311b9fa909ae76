"""The outputs of a network on one split."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn


@torch.no_grad()
def predict(network: nn.Module, loader: Iterable[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Outputs ``[N, K]`` and targets ``[N]``, in eval mode on the network's device and in its precision."""
    own = next(network.parameters())
    network.eval()
    parts = [(network(x.to(own.device, own.dtype)).cpu(), y) for x, y in loader]
    return torch.cat([outputs for outputs, _ in parts]), torch.cat([y for _, y in parts])
