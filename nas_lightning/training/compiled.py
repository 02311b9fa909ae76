"""Fixed networks in training by the compiled kernel: the same numbers, several times as fast."""

import torch
from torch import Tensor

from nas_lightning.kernels.build import why_not_native
from nas_lightning.kernels.network_ops import Planes, Program, UnsupportedError
from nas_lightning.space.network import Cell, ConvNet, Network
from nas_lightning.space.size import Task


class CompiledTraining:
    """Computes in training what a network does, with its own weights.

    Args:
        network: of which the kernel knows all layers.
        task: input channels and length.

    Raises:
        UnsupportedError: if there is a layer that it does not know.
    """

    def __init__(self, network: Network | ConvNet, task: Task) -> None:
        self.network, self.program = network, Program(task.in_channels, task.length)
        planes = self.program.norm(network.stem.norm.bn, self.program.inputs, relu=False)
        planes = self.program.layers(network.stem.conv, planes)
        for layers in network.cells if isinstance(network, Network) else network.blocks:
            planes = self._cell(layers, planes) if isinstance(layers, Cell) else self.program.layers(layers, planes)
        self.program.mean(planes)

    def _cell(self, cell: Cell, planes: Planes) -> Planes:
        values = {0: self.program.layers(cell.preprocess, planes)}
        for name, op in cell.nodes.items():
            values[int(name)] = self.program.layers(op, values[cell.sources[int(name) - 1]])
        return [plane for node in cell.concat for plane in values[node]]

    def serves(self, x: Tensor) -> bool:
        """Whether the kernel can take these samples: float32 or float64 on the CPU, like the network's weights."""
        weight = self.network.head.weight
        is_usual = x.device.type == weight.device.type == "cpu" and x.dtype == weight.dtype
        return is_usual and x.dtype in (torch.float32, torch.float64) and not torch.is_autocast_enabled("cpu")

    def __call__(self, x: Tensor) -> Tensor:
        """Map ``[B, C_in, L]`` to logits ``[B, K]``; updates running statistics."""
        return self.network.head(self.program(self.network.stem.norm.standardise(x)))


def compile_training(network: Network | ConvNet, task: Task, kernels: str) -> CompiledTraining | None:
    """The fast form of a network, or None where there is none.

    Args:
        network: to be trained.
        task: input channels and length.
        kernels: ``training.nas_kernels``; None for ``torch``, and for ``auto`` on a machine without a compiler.
    """
    if kernels == "torch" or why_not_native() is not None:
        return None
    try:
        return CompiledTraining(network, task)
    except UnsupportedError:
        return None
