"""What the C code of a network takes on a core: bytes of flash and instructions, layer by layer.

The numbers are fitted to linked and emulated firmware (``benchmarks/firmware_costs.py``, ``docs/costs.md``) and lie in
``cores.json``. Layers of equal shapes share one function, so code is paid once for each signature; what every layer
pays are its constants and the call.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, cast

from torch import nn

from nas_lightning.graph.layers import SEGMENTS, one
from nas_lightning.graph.trace import Layer

REFERENCE_CORE = "cortex-m4"
"""Whose numbers stand for a core without own ones."""

Signature = tuple[Any, ...]
"""What decides the code of a layer; layers of equal signature share one function."""


def taps_of(layer: Layer) -> int:
    """The steps of a window of a pool."""
    return one(cast(Any, layer.module).kernel_size)


def signature_of(layer: Layer) -> Signature:
    """The kind and all shapes of a layer."""
    module = layer.module
    settings: Signature = ()
    if isinstance(module, nn.Conv1d):
        settings = (module.kernel_size, module.stride, module.dilation, module.groups, module.bias is None)
    if layer.kind.name in SEGMENTS:
        settings = (taps_of(layer),)
    return (layer.kind.name, tuple(layer.in_shape[1:]), tuple(layer.out_shape[1:]), settings)


def _of_convolution(layer: Layer) -> tuple[int, ...]:
    """Output channels, elements, values read for them, products."""
    module, elements = cast(nn.Conv1d, layer.module), layer.out_shape.numel()
    reads = elements * module.in_channels // module.groups
    return (layer.out_shape[1], elements, reads, reads * module.kernel_size[0])


def _of_products(layer: Layer) -> tuple[int, ...]:
    return (*_of_elements(layer), layer.out_shape.numel() * layer.in_shape[1])


def _of_elements(layer: Layer) -> tuple[int, ...]:
    return (layer.out_shape[1], layer.out_shape.numel())


def _of_windows(layer: Layer) -> tuple[int, ...]:
    """Elements, values read, and how many are read where the last window is shorter, as each is looked at then."""
    reads = layer.out_shape.numel() * taps_of(layer)
    return (layer.out_shape.numel(), reads, 0 if reads == layer.in_shape.numel() else reads)


FEATURES: dict[str, Callable[[Layer], tuple[int, ...]]] = {
    **dict.fromkeys(("affine", "relu", "max_pool", "avg_pool", "add"), _of_elements),
    **dict.fromkeys(("conv", "depthwise"), _of_convolution),
    **dict.fromkeys(("pointwise", "linear"), _of_products),
    **dict.fromkeys(SEGMENTS, _of_windows),
    "flatten": lambda layer: (layer.out_shape.numel(),),
    "concat": lambda layer: (len(layer.inputs), layer.out_shape.numel()),
    "global_avg_pool": lambda layer: (layer.out_shape[1], layer.in_shape.numel()),
}
"""By kind what the instructions of a layer are linear in, besides 1; ``cores.json`` has the numbers."""


def features_of(layer: Layer) -> tuple[int, ...]:
    """What the instructions of a layer are linear in; as many as its kind has numbers in ``cores.json``."""
    return (1, *FEATURES[layer.kind.name](layer))


@dataclass(frozen=True)
class CodeModel:
    """The numbers of one core and one form of the network.

    Attributes:
        base_bytes: of what every network has, library functions included.
        code_bytes: by kind, of its function; of a concatenation also ``concat_input``, for each value that it reads.
        call_bytes: by kind, of a call; also ``concat_input``.
        instructions: by kind, a number for each feature.
    """

    base_bytes: int
    code_bytes: Mapping[str, int]
    call_bytes: Mapping[str, int]
    instructions: Mapping[str, tuple[float, ...]]

    def code_of(self, layer: Layer) -> int:
        """Bytes of the function of a layer."""
        return _with_inputs(self.code_bytes, layer)

    def call_of(self, layer: Layer) -> int:
        """Bytes of a call of it."""
        return _with_inputs(self.call_bytes, layer)

    def instructions_of(self, layer: Layer) -> int:
        """Instructions of one run of a layer."""
        numbers = self.instructions[layer.kind.name]
        return max(0, round(sum(a * b for a, b in zip(numbers, features_of(layer), strict=True))))


def _with_inputs(table: Mapping[str, int], layer: Layer) -> int:
    more = table["concat_input"] * len(layer.inputs) if layer.kind.name == "concat" else 0
    return table[layer.kind.name] + more


@cache
def _content() -> dict[str, Any]:
    return json.loads((files("nas_lightning.cost") / "cores.json").read_text(encoding="utf-8"))


@cache
def code_model(core: str, weight_bits: int) -> CodeModel:
    """The numbers of a core: those of float32 for 32-bit weights, else those of int8.

    Args:
        core: a key of ``cores.json``.
        weight_bits: of the network.
    """
    numbers = _content()[core]["float32" if weight_bits == 32 else "int8"]
    instructions = {kind: tuple(row) for kind, row in numbers["instructions"].items()}
    return CodeModel(numbers["base_bytes"], numbers["code_bytes"], numbers["call_bytes"], instructions)


def core_named(name: str) -> str | None:
    """The core of a device card by its name in ``cores.json``; None if nothing was measured on it.

    >>> core_named("Cortex-M0+"), core_named("Cortex-M4F"), core_named("C28x")
    ('cortex-m0plus', 'cortex-m4', None)
    """
    core = name.lower().replace("+", "plus").removesuffix("f")
    return core if core in _content() else None
