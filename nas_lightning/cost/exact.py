"""The exact cost of a fixed network, counted on the form that is deployed (BatchNorm folded)."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from torch import nn

from nas_lightning.cost.code import REFERENCE_CORE, CodeModel, Signature, code_model, signature_of, taps_of
from nas_lightning.errors import InputError
from nas_lightning.graph.layers import POOLS, PRODUCTS, WITHIN_OTHERS
from nas_lightning.graph.liveness import peak_elements
from nas_lightning.graph.trace import Layer, LayerGraph, trace

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
                raise InputError(f"`{name}`: found {getattr(self, name)}; allowed: {', '.join(map(str, BITS))}")
        for name in ("code_bytes", "code_bytes_per_layer"):
            if (getattr(self, name) or 0) < 0:
                raise InputError(f"`{name}`: found {getattr(self, name)}; allowed: 0 or more, or null")

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
        return 0 if layer.kind.name in WITHIN_OTHERS else self.code_bytes_per_layer

    def own_bytes(self, layer: Layer) -> int:
        """Flash of a layer besides its function: the call, weights, biases and, with integers, scales."""
        weights, biases = _sizes(layer)
        call = self.code.call_of(layer) if self.code_bytes_per_layer is None else 0
        if layer.kind.name == "affine":  # stays float
            return 4 * (weights + biases) + call
        is_integer = self.weight_bits < 32 and layer.kind.name not in WITHIN_OTHERS
        scales = 5 * (1 + layer.out_shape[1] * (weights > 0)) if is_integer else 0  # 4 bytes, and 1 of a zero point
        if is_integer and layer.kind.name == "segment_mean":
            scales += 4 * (1 + taps_of(layer))  # what a sum of one value is multiplied by, of two, and so on
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
        InputError: for an operator without a cost; nothing is counted as zero by default.
    """
    return _price(trace(network, in_channels, length), numbers or Numbers())


def _price(graph: LayerGraph, numbers: Numbers) -> Cost:
    rows = tuple(_layer_costs(graph.layers, numbers))
    return Cost(
        params=sum(row.params for row in rows),
        macs=sum(row.macs for row in rows),
        flash_bytes=numbers.base_bytes + sum(row.flash_bytes for row in rows),
        instructions=sum(row.instructions for row in rows),
        ram_bytes=numbers.arena_bytes(peak_elements(graph)),
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
    return graph_cost(trace(part, in_channels, length), numbers)


def graph_cost(graph: LayerGraph, numbers: Numbers) -> PartCost:
    """The same of a part whose graph is known."""
    cost = _price(graph, numbers)
    functions = {signature_of(layer): numbers.function_bytes(layer) for layer in graph.layers}
    sums = {measure: getattr(cost, measure) for measure in ADDITIVE}
    sums["flash_bytes"] = sum(map(numbers.own_bytes, graph.layers))
    return PartCost(sums, functions, cost.ram_bytes)


MACS: dict[str, Callable[[Layer], int]] = {
    "affine": lambda layer: layer.out_shape.numel(),
    **dict.fromkeys(PRODUCTS, lambda layer: _sizes(layer)[0] * math.prod(layer.out_shape[2:])),
    **dict.fromkeys((*POOLS, *WITHIN_OTHERS, "concat", "global_avg_pool", "add"), lambda layer: 0),
}
"""Multiply-accumulates by kind."""


def _layer_costs(layers: Iterable[Layer], numbers: Numbers) -> Iterator[LayerCost]:
    known: set[Signature] = set()
    for layer in layers:
        signature, flash = signature_of(layer), numbers.own_bytes(layer)
        if signature not in known:
            known.add(signature)
            flash += numbers.function_bytes(layer)
        instructions, elements = numbers.code.instructions_of(layer), layer.out_shape.numel()
        macs = MACS[layer.kind.name](layer)
        yield LayerCost(layer.name, layer.kind.label, sum(_sizes(layer)), macs, flash, instructions, elements)
