"""The outputs of a network on one split."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from nas_lightning import progress


@torch.no_grad()
def predict(network: nn.Module, loader: Iterable[tuple[Tensor, Tensor]], text: str = "") -> tuple[Tensor, Tensor]:
    """Outputs ``[N, K]`` and targets ``[N]``, in eval mode on the network's device and in its precision.

    Args:
        network: maps ``[B, C, L]`` to outputs ``[B, K]``.
        loader: of batches.
        text: beside a bar that counts the batches; without it there is none.
    """
    own = next(network.parameters())
    network.eval()
    batches = progress.track(loader, text, unit="batch") if text else loader
    parts = [(network(x.to(own.device, own.dtype)).cpu(), y) for x, y in batches]
    return torch.cat([outputs for outputs, _ in parts]), torch.cat([y for _, y in parts])
