"""The exact cost of a fixed network, counted on the form that is deployed (BatchNorm folded)."""

import operator
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from nas_lightning.errors import InputError
from nas_lightning.space.fold import ChannelAffine, fold

MEASURES = ("params", "macs", "flash_bytes", "ram_bytes")
"""What is counted, and can be limited."""

BITS = (8, 16, 32)


@dataclass(frozen=True)
class Numbers:
    """How numbers are kept on the device, and what code is allowed for; the section ``cost`` of the configuration.

    Attributes:
        weight_bits: of a weight: 8, 16, or 32 for float. Biases have 32.
        activation_bits: of an activation: 8, 16, or 32 for float.
        code_bytes: allowed for code that every network has.
        code_bytes_per_layer: allowed for the code of each layer, because C exporters write one function per layer.

    Raises:
        InputError: for other bits, or a negative allowance.
    """

    weight_bits: int = 8
    activation_bits: int = 8
    code_bytes: int = 1024
    code_bytes_per_layer: int = 400

    def __post_init__(self) -> None:
        for name in ("weight_bits", "activation_bits"):
            if getattr(self, name) not in BITS:
                raise InputError(f"cost.{name}: found {getattr(self, name)}; allowed: {', '.join(map(str, BITS))}")
        for name in ("code_bytes", "code_bytes_per_layer"):
            if getattr(self, name) < 0:
                raise InputError(f"cost.{name}: found {getattr(self, name)}; allowed: 0 or more")

    def activation_bytes(self, elements: int) -> int:
        """Bytes of so many activations."""
        return elements * self.activation_bits // 8

    def layer_flash_bytes(self, weights: int, biases: int, channels: int) -> int:
        """Flash of one layer: weights, 32-bit biases, a 32-bit scale a channel of integer weights, and code."""
        scales = channels if weights and self.weight_bits < 32 else 0
        return weights * self.weight_bits // 8 + 4 * (biases + scales) + self.code_bytes_per_layer


@dataclass(frozen=True)
class LayerCost:
    """One layer: what it is, what it costs, and elements of its output."""

    name: str
    kind: str
    params: int
    macs: int
    flash_bytes: int
    output_elements: int


@dataclass(frozen=True)
class Cost:
    """What one network costs for one sample.

    Attributes:
        params: weights and biases of the folded network.
        macs: multiply-accumulates; pooling, ReLU and concatenation only move or compare, and count none.
        flash_bytes: parameters and scales in their bits, and the allowance for code.
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
    weight_bits: int
    activation_bits: int

    def to_dict(self) -> dict[str, Any]:
        """The content of ``cost.json``."""
        return asdict(self)


def cost_of(network: nn.Module, in_channels: int, length: int, numbers: Numbers | None = None) -> Cost:
    """Count the exact cost of ``network`` on one sample ``[1, in_channels, length]``, as 8-bit numbers by default.

    >>> cost_of(nn.Conv1d(2, 4, 3, padding=1), in_channels=2, length=10).macs
    240

    Raises:
        NotImplementedError: for an operator without a cost; nothing is counted as zero by default.
    """
    numbers = numbers or Numbers()
    walk = _walk(network, in_channels, length)
    rows = tuple(_layer_cost(layer, numbers) for layer in walk.layers)
    return Cost(
        params=sum(row.params for row in rows),
        macs=sum(row.macs for row in rows),
        flash_bytes=numbers.code_bytes + sum(row.flash_bytes for row in rows),
        ram_bytes=numbers.activation_bytes(_peak_elements(walk)),
        layers=rows,
        weight_bits=numbers.weight_bits,
        activation_bits=numbers.activation_bits,
    )


@dataclass(frozen=True)
class Layer:
    """One layer of a folded network: its module (None for calls of functions), and the shapes around it."""

    name: str
    kind: str
    module: nn.Module | None
    in_shape: torch.Size
    out_shape: torch.Size


def layers_of(network: nn.Module, in_channels: int, length: int) -> list[Layer]:
    """The layers of ``network`` as it is deployed, in the order in which they run.

    Raises:
        NotImplementedError: for an operator without a cost.
    """
    return _walk(network, in_channels, length).layers


_MODULE_MACS: dict[type[nn.Module], Callable[[Any, torch.Size], int]] = {
    nn.Conv1d: lambda module, out: module.weight.numel() * out[-1],
    nn.Linear: lambda module, out: module.weight.numel(),
    ChannelAffine: lambda module, out: out.numel(),
    nn.AvgPool1d: lambda module, out: 0,
    nn.MaxPool1d: lambda module, out: 0,
    nn.ReLU: lambda module, out: 0,
    nn.Identity: lambda module, out: 0,
}
_CALLS = {torch.cat: "Concat", "mean": "GlobalAvgPool"}
_FREE_CALLS = {operator.getitem}


def _layer_cost(layer: Layer, numbers: Numbers) -> LayerCost:
    sizes = [p.numel() for p in layer.module.parameters()] if layer.module else []
    flash = numbers.layer_flash_bytes(sum(sizes[:1]), sum(sizes[1:]), layer.out_shape[1])
    if layer.kind == "ReLU":  # a limit of the layer before it, not code of its own
        flash = 0
    macs = _MODULE_MACS[type(layer.module)](layer.module, layer.out_shape) if layer.module else 0
    return LayerCost(layer.name, layer.kind, sum(sizes), macs, flash, layer.out_shape.numel())


def _walk(network: nn.Module, in_channels: int, length: int) -> "_Walk":
    folded = nn.Sequential(fold(network))  # so that a single layer is a module of the graph too
    walk = _Walk(fx.GraphModule(folded, _LeafTracer().trace(folded)))
    example = next(folded.parameters(), torch.zeros(())).new_zeros(1, in_channels, length)
    with torch.no_grad():
        walk.run(example)
    return walk


class _LeafTracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return type(m) in _MODULE_MACS or super().is_leaf_module(m, module_qualified_name)


class _Walk(fx.Interpreter):
    """Runs one sample through the graph, and keeps every layer and the elements of every new buffer."""

    def __init__(self, graph: fx.GraphModule) -> None:
        super().__init__(graph)
        self.layers: list[Layer] = []
        self.elements: dict[fx.Node, int] = {}

    def run_node(self, n: fx.Node) -> Any:
        out = super().run_node(n)
        if n.op == "call_module":
            self._add_module(n, out)
        elif n.op in ("call_function", "call_method") and n.target in _CALLS:
            source = self.env[n.all_input_nodes[0]]
            self.layers.append(Layer(n.name, _CALLS[n.target], None, source.shape, out.shape))
        elif n.op in ("call_function", "call_method") and n.target not in _FREE_CALLS:
            raise NotImplementedError(f"cost: no cost is known for {n.target}")
        if n.op != "output":
            self.elements[n] = out.numel()
        return out

    def _add_module(self, n: fx.Node, out: Tensor) -> None:
        name = str(n.target)
        module = self.module.get_submodule(name)
        kind = type(module)
        if kind not in _MODULE_MACS:
            raise NotImplementedError(f"cost: no cost is known for the layer {kind.__name__} ({name})")
        if kind is not nn.Identity:
            shape = self.env[n.all_input_nodes[0]].shape
            self.layers.append(Layer(name.removeprefix("0."), kind.__name__, module, shape, out.shape))


def _peak_elements(walk: _Walk) -> int:
    """Largest sum of buffers alive at one step.

    An identity is the buffer that it reads, and a ReLU works in place on what nobody else reads.
    """
    graph, elements = next(iter(walk.elements)).graph, walk.elements
    modules = dict(walk.module.named_modules())
    buffer: dict[fx.Node, fx.Node] = {}
    last_use: dict[fx.Node, int] = {}
    for step, node in enumerate(graph.nodes):
        module = modules[str(node.target)] if node.op == "call_module" else None
        is_same = isinstance(module, nn.Identity) or (isinstance(module, nn.ReLU) and len(node.args[0].users) == 1)
        buffer[node] = buffer[node.args[0]] if is_same else node
        for source in (node, *node.all_input_nodes):
            last_use[buffer[source]] = step
    first_use = {node: step for step, node in enumerate(graph.nodes)}
    alive = [
        sum(elements.get(node, 0) for node in last_use if first_use[node] <= step <= last_use[node])
        for step in range(len(first_use))
    ]
    return max(alive)
