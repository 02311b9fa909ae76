"""Networks and supernets in training by the compiled kernel: the same numbers, in one call a pass."""

from collections.abc import Callable, Iterable
from typing import cast

import torch
from torch import Tensor, nn

from nas_lightning.graph.norm import InputNorm
from nas_lightning.kernels.build import why_not_native
from nas_lightning.kernels.network_ops import Planes, Program, UnsupportedError
from nas_lightning.space.base import Choice, OpWeights, Path
from nas_lightning.space.cells.genotype import KINDS
from nas_lightning.space.cells.network import Cell, Network
from nas_lightning.space.cells.size import edges
from nas_lightning.space.cells.supernet import PartialCell, SearchCell, Supernet
from nas_lightning.space.ops import OPS, Zero
from nas_lightning.space.readouts import Mean
from nas_lightning.space.reference import ConvNet
from nas_lightning.space.trunk import Trunk
from nas_lightning.tasks import Task


class _Compiled:
    """What computes in training what a network does, with its own weights.

    Attributes:
        most_bytes: of the values of a batch; with more of them memory is the limit, and the network itself is faster.
    """

    most_bytes = 40 * 2**20

    def __init__(self, norm: InputNorm, head: nn.Module, task: Task) -> None:
        self.norm, self.head, self.program = norm, head, Program(task.in_channels, task.length)

    def serves(self, x: Tensor) -> bool:
        """Whether the kernel takes these samples: float32 or float64 on the CPU, like the weights, and not too many."""
        weight, num_values = next(self.head.parameters()), self.program.layout(len(x))[1]
        is_usual = x.device.type == weight.device.type == "cpu" and x.dtype == weight.dtype
        is_known = x.dtype in (torch.float32, torch.float64) and not torch.is_autocast_enabled("cpu")
        return is_usual and is_known and num_values * x.element_size() <= self.most_bytes

    def _start(self) -> Planes:
        return self.program.norm(self.norm.bn, self.program.inputs, relu=False)


class CompiledNetwork(_Compiled):
    """A fixed network in training.

    Args:
        network: of which the kernel knows all layers.
        task: input channels and length.

    Raises:
        UnsupportedError: if there is a layer that it does not know.
    """

    def __init__(self, network: Network | ConvNet | Trunk, task: Task) -> None:
        norm = network.norm if isinstance(network, Trunk) else network.stem.norm
        super().__init__(norm, network.head, task)
        planes = self._start()
        for layers in _bodies(network):
            planes = self._cell(layers, planes) if isinstance(layers, Cell) else self.program.layers(layers, planes)
        readout = Mean() if isinstance(network, ConvNet) else network.readout
        readout.write(self.program, planes)

    def __call__(self, x: Tensor) -> Tensor:
        """Map ``[B, C_in, L]`` to logits ``[B, K]``; updates running statistics."""
        return self.head(self.program(self.norm.standardise(x)))

    def _cell(self, cell: Cell, planes: Planes) -> Planes:
        values = {0: self.program.layers(cell.preprocess, planes)}
        for name, op in cell.nodes.items():
            values[int(name)] = self.program.layers(op, values[cell.sources[int(name) - 1]])
        return [plane for node in cell.concat for plane in values[node]]


def _bodies(network: Network | ConvNet | Trunk) -> Iterable[nn.Module]:
    """What stands between the input normalisation and the readout."""
    if isinstance(network, Trunk):
        return network.blocks
    return network.stem.conv, *(network.cells if isinstance(network, Network) else network.blocks)


class CompiledSupernet(_Compiled):
    """A supernet in training, as a mixture; differentiable once.

    It keeps the value of every operation, where the supernet itself, which works tile by tile, keeps none of them.

    Args:
        supernet: of which the kernel knows all operations.

    Raises:
        UnsupportedError: if there is one that it does not know.
    """

    most_bytes = 24 * 2**20

    def __init__(self, supernet: Supernet) -> None:
        super().__init__(supernet.stem.norm, supernet.head, supernet.task)
        self.ops, planes = supernet.op_names, self.program.layers(supernet.stem.conv, self._start())
        num_weights = supernet.size.num_edges * len(self.ops)  # of a kind
        for cell, kind in zip(supernet.cells, supernet.kinds, strict=True):
            if isinstance(cell, PartialCell):
                raise UnsupportedError("partial channels")
            planes = self._cell(cast(SearchCell, cell), KINDS.index(kind) * num_weights, planes)
        supernet.readout.write(self.program, planes)

    def __call__(self, x: Tensor, op_weights: OpWeights) -> Tensor:
        """Map ``[B, C_in, L]`` to logits ``[B, K]``; updates running statistics."""
        mixed = torch.cat([op_weights[kind].flatten() for kind in KINDS]).to(x.dtype)
        return self.head(self.program(self.norm.standardise(x), mixed))

    def _cell(self, cell: SearchCell, first: int, planes: Planes) -> Planes:
        ops = [(column, op) for column, op in enumerate(self.ops) if not isinstance(OPS[op](1, 1, False), Zero)]
        num_nodes = cell.num_nodes
        nodes = [self.program.layers(cell.preprocess, planes)]
        terms: list[list[tuple[int, Planes]]] = [[] for _ in range(num_nodes)]
        for source in range(num_nodes):
            known: dict[str, Planes] = {}
            for row, (start, target) in enumerate(edges(num_nodes)):
                if start != source:
                    continue
                group = cell.group_of(row)
                for column, op in ops:
                    value = known.get(op) or group.write_one(self.program, op, row, nodes[source])
                    if not group.has_parameters(op):
                        known[op] = value
                    terms[target - 1].append((first + row * len(self.ops) + column, value))
            nodes.append(self.program.mix(terms[source]))
        return [plane for node in nodes[-cell.fanout_concat :] for plane in node]


def compile_network(network: nn.Module, task: Task, kernels: str) -> CompiledNetwork | None:
    """The fast form of a network, or None where there is none.

    Args:
        network: to be trained.
        task: input channels and length.
        kernels: ``training.nas_kernels``; None for ``torch``, and for ``auto`` on a machine without a compiler.
    """
    if not isinstance(network, Network | ConvNet | Trunk) or kernels == "torch" or why_not_native() is not None:
        return None
    try:
        return CompiledNetwork(network, task)
    except UnsupportedError:
        return None


def training_pass(supernet: Supernet) -> Callable[[Tensor, Choice], Tensor]:
    """What computes a supernet in training: the kernel where it serves, else the supernet itself."""
    compiled = _compile_supernet(supernet)

    def run(x: Tensor, choice: Choice) -> Tensor:
        if compiled is None or isinstance(choice, Path) or not compiled.serves(x):
            return supernet(x, choice)
        return compiled(x, choice)

    return run


def _compile_supernet(supernet: Supernet) -> CompiledSupernet | None:
    if supernet.kernels == "torch" or why_not_native() is not None:
        return None
    try:
        return CompiledSupernet(supernet)
    except UnsupportedError:
        return None
