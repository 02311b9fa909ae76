"""The exact cost of a fixed network, counted on the form that is deployed (BatchNorm folded)."""

import operator
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from nas_lightning.space.fold import ChannelAffine, fold


@dataclass(frozen=True)
class LayerCost:
    """One layer: parameters, multiply-accumulates of one sample, and elements of its output."""

    name: str
    kind: str
    params: int
    macs: int
    output_elements: int


@dataclass(frozen=True)
class Cost:
    """What one network costs for one sample.

    Attributes:
        params: weights and biases of the folded network.
        macs: multiply-accumulates; pooling, ReLU and concatenation only move or compare, and count none.
        flash_bytes: bytes of the parameters.
        ram_bytes: peak of the activations alive at once, the input included, in the network's own layer order.
        layers: one row a layer.
        weight_bits: bits of a weight.
        activation_bits: bits of an activation.
    """

    params: int
    macs: int
    flash_bytes: int
    ram_bytes: int
    layers: tuple[LayerCost, ...]
    weight_bits: int = 32
    activation_bits: int = 32

    def to_dict(self) -> dict[str, Any]:
        """The content of ``cost.json``."""
        return asdict(self)


def cost_of(network: nn.Module, in_channels: int, length: int) -> Cost:
    """Count the exact cost of ``network`` on one sample ``[1, in_channels, length]``.

    >>> cost_of(nn.Conv1d(2, 4, 3, padding=1), in_channels=2, length=10).macs
    240

    Raises:
        NotImplementedError: for an operator without a cost; nothing is counted as zero by default.
    """
    folded = nn.Sequential(fold(network))  # so that a single layer is a module of the graph too
    graph = _LeafTracer().trace(folded)
    meter = _Meter(fx.GraphModule(folded, graph))
    example = next(folded.parameters(), torch.zeros(())).new_zeros(1, in_channels, length)
    with torch.no_grad():
        meter.run(example)
    params = sum(row.params for row in meter.rows)
    return Cost(
        params=params,
        macs=sum(row.macs for row in meter.rows),
        flash_bytes=4 * params,
        ram_bytes=4 * _peak_elements(folded, meter.elements),
        layers=tuple(meter.rows),
    )


def _conv_macs(module: nn.Conv1d, out: Tensor) -> int:
    return module.weight.numel() * out.shape[-1]


_MODULE_MACS: dict[type[nn.Module], Callable[[Any, Tensor], int]] = {
    nn.Conv1d: _conv_macs,
    nn.Linear: lambda module, out: module.weight.numel(),
    ChannelAffine: lambda module, out: out.numel(),
    nn.AvgPool1d: lambda module, out: 0,
    nn.MaxPool1d: lambda module, out: 0,
    nn.ReLU: lambda module, out: 0,
    nn.Identity: lambda module, out: 0,
}
_FREE_CALLS = {torch.cat, operator.getitem, "mean"}
_IN_PLACE = (nn.ReLU, nn.Identity, ChannelAffine)


class _LeafTracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return type(m) in _MODULE_MACS or super().is_leaf_module(m, module_qualified_name)


class _Meter(fx.Interpreter):
    """Runs one sample through the graph, and keeps a row per layer and the elements of every new buffer."""

    def __init__(self, graph: fx.GraphModule) -> None:
        super().__init__(graph)
        self.rows: list[LayerCost] = []
        self.elements: dict[fx.Node, int] = {}

    def run_node(self, n: fx.Node) -> Any:
        out = super().run_node(n)
        if n.op == "call_module":
            self._count_module(str(n.target), out)
        elif n.op in ("call_function", "call_method") and n.target not in _FREE_CALLS:
            raise NotImplementedError(f"cost: no cost is known for {n.target}")
        if n.op != "output":
            self.elements[n] = out.numel()
        return out

    def _count_module(self, name: str, out: Tensor) -> None:
        module = self.module.get_submodule(name)
        if type(module) not in _MODULE_MACS:
            raise NotImplementedError(f"cost: no cost is known for the layer {type(module).__name__} ({name})")
        if not isinstance(module, nn.Identity):
            params = sum(p.numel() for p in module.parameters())
            macs = _MODULE_MACS[type(module)](module, out)
            self.rows.append(LayerCost(name.removeprefix("0."), type(module).__name__, params, macs, out.numel()))


def _peak_elements(network: nn.Module, elements: dict[fx.Node, int]) -> int:
    """Largest sum of buffers alive at one step; ReLU and the like work in place on the buffer that they read."""
    graph = next(iter(elements)).graph
    modules = dict(network.named_modules())
    buffer: dict[fx.Node, fx.Node] = {}
    last_use: dict[fx.Node, int] = {}
    for step, node in enumerate(graph.nodes):
        in_place = node.op == "call_module" and isinstance(modules[str(node.target)], _IN_PLACE)
        buffer[node] = buffer[node.args[0]] if in_place and len(node.args[0].users) == 1 else node
        for source in (node, *node.all_input_nodes):
            last_use[buffer[source]] = step
    first_use = {node: step for step, node in enumerate(graph.nodes)}
    alive = [
        sum(elements.get(node, 0) for node in last_use if first_use[node] <= step <= last_use[node])
        for step in range(len(first_use))
    ]
    return max(alive)
