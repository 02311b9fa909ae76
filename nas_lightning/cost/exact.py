"""The exact cost of a fixed network, counted on the form that is deployed (BatchNorm folded)."""

import math
import operator
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from nas_lightning.cost.code import REFERENCE_CORE, CodeModel, Layer, Signature, code_model, signature_of
from nas_lightning.errors import InputError
from nas_lightning.space.fold import ChannelAffine, fold, trace

MEASURES = ("params", "macs", "flash_bytes", "instructions", "ram_bytes")
"""What is counted, and can be limited."""

ADDITIVE = ("params", "macs", "flash_bytes", "instructions")
"""The measures that are sums over layers, but for the flash of functions that layers share; peak RAM is not."""

BITS = (8, 16, 32)

_ALIGNMENT = 8  # bytes, to which linkers round the size of static memory


@dataclass(frozen=True)
class Numbers:
    """How numbers are kept on the device, and the core whose code they run on; the section ``cost``.

    Attributes:
        weight_bits: of a weight: 8, 16, or 32 for float. Biases have 32.
        activation_bits: of an activation: 8, 16, or 32 for float.
        core: whose code is counted, by its name in ``cores.json``.
        code_bytes: allowed for code that every network has; None takes what was measured on the core.
        code_bytes_per_layer: allowed for the function of each layer; None takes what was measured on the core.

    Raises:
        InputError: for other bits, or a negative allowance.
    """

    weight_bits: int = 8
    activation_bits: int = 8
    core: str = REFERENCE_CORE
    code_bytes: int | None = None
    code_bytes_per_layer: int | None = None

    def __post_init__(self) -> None:
        for name in ("weight_bits", "activation_bits"):
            if getattr(self, name) not in BITS:
                raise InputError(f"cost.{name}: found {getattr(self, name)}; allowed: {', '.join(map(str, BITS))}")
        for name in ("code_bytes", "code_bytes_per_layer"):
            if (getattr(self, name) or 0) < 0:
                raise InputError(f"cost.{name}: found {getattr(self, name)}; allowed: 0 or more, or null")

    @property
    def code(self) -> CodeModel:
        """What was measured on the core."""
        return code_model(self.core, self.weight_bits)

    @property
    def base_bytes(self) -> int:
        """Flash of what every network has."""
        return self.code.base_bytes if self.code_bytes is None else self.code_bytes

    def activation_bytes(self, elements: int) -> int:
        """Bytes of so many activations."""
        return elements * self.activation_bits // 8

    def arena_bytes(self, elements: int) -> int:
        """Bytes of static memory for so many activations alive at once, whose end the linker aligns."""
        return math.ceil(self.activation_bytes(elements) / _ALIGNMENT) * _ALIGNMENT

    def function_bytes(self, layer: Layer) -> int:
        """Flash of the function of a layer, which all layers of its signature share."""
        if self.code_bytes_per_layer is None:
            return self.code.code_of(layer)
        return 0 if layer.kind == "ReLU" else self.code_bytes_per_layer

    def own_bytes(self, layer: Layer) -> int:
        """Flash of a layer besides its function: the call, weights, biases and, with integers, scales."""
        weights, biases = _sizes(layer)
        call = self.code.call_of(layer) if self.code_bytes_per_layer is None else 0
        if layer.kind == "ChannelAffine":  # stays float
            return 4 * (weights + biases) + call
        is_integer = self.weight_bits < 32 and layer.kind != "ReLU"
        scales = 5 * (1 + layer.out_shape[1] * (weights > 0)) if is_integer else 0  # 4 bytes, and 1 of a zero point
        return weights * self.weight_bits // 8 + 4 * biases + scales + call


def _sizes(layer: Layer) -> tuple[int, int]:
    """Weights and biases."""
    sizes = [p.numel() for p in layer.module.parameters()] if layer.module else []
    return sum(sizes[:1]), sum(sizes[1:])


@dataclass(frozen=True)
class LayerCost:
    """One layer: what it is, what it costs, and elements of its output.

    The flash of a function that several layers share is counted at the first of them.
    """

    name: str
    kind: str
    params: int
    macs: int
    flash_bytes: int
    instructions: int
    output_elements: int


@dataclass(frozen=True)
class Cost:
    """What one network costs for one sample.

    Attributes:
        params: weights and biases of the folded network.
        macs: multiply-accumulates; pooling, ReLU and concatenation only move or compare, and count none.
        flash_bytes: parameters and scales in their bits, and code.
        instructions: of one run on the core.
        ram_bytes: peak of the activations alive at once, in the network's own layer order: the one static arena of the
            firmware. The sample that is handed to the network is not part of it.
        layers: one row a layer.
        weight_bits: bits of a weight.
        activation_bits: bits of an activation.
    """

    params: int
    macs: int
    flash_bytes: int
    instructions: int
    ram_bytes: int
    layers: tuple[LayerCost, ...]
    weight_bits: int
    activation_bits: int
    core: str


def cost_of(network: nn.Module, in_channels: int, length: int, numbers: Numbers | None = None) -> Cost:
    """Count the exact cost of ``network`` on one sample ``[1, in_channels, length]``, as 8-bit numbers by default.

    >>> cost_of(nn.Conv1d(2, 4, 3, padding=1), in_channels=2, length=10).macs
    240

    Raises:
        NotImplementedError: for an operator without a cost; nothing is counted as zero by default.
    """
    return _price(_walk(network, in_channels, length), numbers or Numbers())


def _price(walk: "_Walk", numbers: Numbers) -> Cost:
    rows = tuple(_layer_costs(walk.layers, numbers))
    return Cost(
        params=sum(row.params for row in rows),
        macs=sum(row.macs for row in rows),
        flash_bytes=numbers.base_bytes + sum(row.flash_bytes for row in rows),
        instructions=sum(row.instructions for row in rows),
        ram_bytes=numbers.arena_bytes(_peak_elements(walk)),
        layers=rows,
        weight_bits=numbers.weight_bits,
        activation_bits=numbers.activation_bits,
        core=numbers.core,
    )


@dataclass(frozen=True)
class PartCost:
    """What a part of a network adds to the whole.

    Attributes:
        sums: the measures that add up: parameters, MACs, instructions, and flash without what is in ``functions``.
        functions: flash of the functions that it calls, by signature; in a network each is there once.
        ram_bytes: its own peak.
    """

    sums: dict[str, int]
    functions: dict[Signature, int]
    ram_bytes: int


def part_cost(part: nn.Module, in_channels: int, length: int, numbers: Numbers) -> PartCost:
    """The cost of a part of a network on one sample ``[1, in_channels, length]``."""
    walk = _walk(part, in_channels, length)
    cost = _price(walk, numbers)
    functions = {signature_of(layer): numbers.function_bytes(layer) for layer in walk.layers}
    sums = {measure: getattr(cost, measure) for measure in ADDITIVE}
    sums["flash_bytes"] = sum(map(numbers.own_bytes, walk.layers))
    return PartCost(sums, functions, cost.ram_bytes)


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


def _layer_costs(layers: Iterable[Layer], numbers: Numbers) -> Iterator[LayerCost]:
    known: set[Signature] = set()
    for layer in layers:
        signature, flash = signature_of(layer), numbers.own_bytes(layer)
        if signature not in known:
            known.add(signature)
            flash += numbers.function_bytes(layer)
        macs = _MODULE_MACS[type(layer.module)](layer.module, layer.out_shape) if layer.module else 0
        instructions, elements = numbers.code.instructions_of(layer), layer.out_shape.numel()
        yield LayerCost(layer.name, layer.kind, sum(_sizes(layer)), macs, flash, instructions, elements)


def _walk(network: nn.Module, in_channels: int, length: int) -> "_Walk":
    walk = _Walk(_without_twins(trace(fold(network))))
    example = next(walk.module.parameters(), torch.zeros(())).new_zeros(1, in_channels, length)
    with torch.no_grad():
        walk.run(example)
    return walk


def _without_twins(module: fx.GraphModule) -> fx.GraphModule:
    """The graph as it is exported: a pool that is taken twice of one value is computed once."""
    modules, known = dict(module.named_modules()), dict[tuple[str, fx.Node], fx.Node]()
    for node in list(module.graph.nodes):
        layer = modules.get(str(node.target)) if node.op == "call_module" else None
        if isinstance(layer, nn.MaxPool1d | nn.AvgPool1d):
            first = known.setdefault((repr(layer), node.args[0]), node)
            if first is not node:
                node.replace_all_uses_with(first)
                module.graph.erase_node(node)
    return module


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
        shape = self.env[n.all_input_nodes[0]].shape
        self.layers.append(Layer(name.removeprefix("0."), kind.__name__, module, shape, out.shape))


def _peak_elements(walk: _Walk) -> int:
    """Largest sum of buffers alive at one step.

    A ReLU works in place on what nobody else reads. A sample that is only normalised lies in the memory of who calls
    the network.
    """
    graph, elements = next(iter(walk.elements)).graph, walk.elements
    modules = dict(walk.module.named_modules())
    for node in graph.nodes:
        if node.op == "placeholder" and all(type(modules.get(str(u.target))) is ChannelAffine for u in node.users):
            elements[node] = 0
    buffer: dict[fx.Node, fx.Node] = {}
    last_use: dict[fx.Node, int] = {}
    for step, node in enumerate(graph.nodes):
        module = modules[str(node.target)] if node.op == "call_module" else None
        is_same = isinstance(module, nn.ReLU) and len(node.args[0].users) == 1
        buffer[node] = buffer[node.args[0]] if is_same else node
        for source in (node, *node.all_input_nodes):
            last_use[buffer[source]] = step
    first_use = {node: step for step, node in enumerate(graph.nodes)}
    alive = [
        sum(elements.get(node, 0) for node in last_use if first_use[node] <= step <= last_use[node])
        for step in range(len(first_use))
    ]
    return max(alive)
