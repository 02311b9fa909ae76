"""From a network to the graph of its layers, folded."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor, fx, nn

from nas_lightning.errors import InputError
from nas_lightning.graph.fold import fold
from nas_lightning.graph.layers import LAYERS, POOLS, LayerKind, WholeLayer, kind_of
from nas_lightning.graph.norm import ChannelAffine


@dataclass(frozen=True)
class Layer:
    """One layer.

    Attributes:
        name: of its module, or of the call of a function.
        kind: what it is.
        module: with its parameters; None for a function.
        inputs: the numbers of the values that it reads.
        in_shape: of the first of them: ``[1, C, L]`` or ``[1, C]``.
        out_shape: of what it makes.
    """

    name: str
    kind: LayerKind
    module: nn.Module | None
    inputs: tuple[int, ...]
    in_shape: torch.Size
    out_shape: torch.Size

    def __call__(self, *values: Tensor) -> Tensor:
        """What it makes of the values that it reads."""
        compute = self.kind.compute if self.module is None else self.module
        return cast(Callable[..., Tensor], compute)(*values)


@dataclass(frozen=True)
class LayerGraph:
    """A network as it is deployed: its layers in the order in which they run.

    Values have numbers: 0 is the sample, and ``i`` what the i-th layer makes, counted from 1.

    Attributes:
        network: folded; has the modules of the layers.
        in_shape: of the sample, ``[1, C, L]``.
        layers: in order.
        output: the number of the value that the network gives.
    """

    network: nn.Module
    in_shape: torch.Size
    layers: tuple[Layer, ...]
    output: int

    def reading_kinds(self, value: int) -> list[str]:
        """The kinds of the layers that read a value; the end of the network is ``end``."""
        return [layer.kind.name for layer in self.layers if value in layer.inputs] + ["end"] * (value == self.output)

    def run(self, x: Tensor, call: Callable[..., Tensor]) -> Tensor:
        """The output for samples ``[B, C, L]``, with every value made by ``call``.

        Args:
            x: samples.
            call: gets the number of a value and what its layer reads, and for 0 the samples.
        """
        values = {0: call(0, x)}
        last = {j: i for i, layer in enumerate(self.layers, start=1) for j in layer.inputs} | {self.output: None}
        for i, layer in enumerate(self.layers, start=1):
            values[i] = call(i, *(values[j] for j in layer.inputs))
            values = {j: value for j, value in values.items() if last.get(j) != i}  # a value is as large as a batch
        return values[self.output]


@torch.no_grad()
def trace(network: nn.Module, in_channels: int, length: int) -> LayerGraph:
    """Fold a copy of a network, and write down its layers for one sample ``[1, in_channels, length]``.

    As in the exported file, an identity is no layer, and a pool that is taken twice of one value is computed once.

    Raises:
        InputError: for a layer that is in no list.
        NotImplementedError: if ``fold`` cannot fold the network.
    """
    root = nn.Sequential(fold(network))  # names begin with "0.", so that a single layer is a module of a graph too
    sample = next(root.parameters(), torch.zeros(())).new_zeros(1, in_channels, length)
    values, layers, known = [sample], list[Layer](), dict[tuple[str, tuple[int, ...]], int]()
    numbers: dict[fx.Node, int] = {}
    # By default a tracer looks for calls of math, which takes a quarter of the time.
    for node in _Tracer(autowrap_modules=()).trace(root).nodes:  # type: ignore[arg-type]
        if node.op == "placeholder":
            numbers[node] = 0
            continue
        inputs = _inputs(node, numbers)
        if node.op == "output":
            break
        module = root.get_submodule(str(node.target)) if node.op == "call_module" else None
        if isinstance(module, nn.Identity):
            numbers[node] = inputs[0]
            continue
        kind = _demand_kind(node, module)
        numbers[node] = len(values)
        if kind.name in POOLS:
            numbers[node] = known.setdefault((repr(module), inputs), len(values))
        if numbers[node] == len(values):
            name = node.name if module is None else str(node.target).removeprefix("0.")
            layer = Layer(name, kind, module, inputs, values[inputs[0]].shape, torch.Size())
            values.append(layer(*(values[i] for i in inputs)))
            layers.append(replace(layer, out_shape=values[-1].shape))
    return LayerGraph(root[0], sample.shape, tuple(layers), inputs[0])


@torch.no_grad()
def in_a_row(layers: Iterable[nn.Module | LayerKind], *shape: int) -> LayerGraph:
    """The graph of folded layers that follow each other, many times as fast as by ``trace``, which looks for it.

    Args:
        layers: modules, and kinds that are functions; on the device ``meta`` nothing is computed.
        shape: of the sample, ``[1, C, L]``.
    """
    value, found = torch.empty(shape, device="meta"), list[Layer]()
    for number, each in enumerate(layers):
        kind, module = (each, None) if isinstance(each, LayerKind) else (kind_of(each), each)
        assert kind is not None  # nosec B101 # for mypy: the layers are those of a deployed network
        layer = Layer(f"{kind.name}_{number}", kind, module, (number,), value.shape, torch.Size())
        value = layer(value)
        found.append(replace(layer, out_shape=value.shape))
    return LayerGraph(nn.Identity(), torch.Size(shape), tuple(found), len(found))


def _inputs(node: fx.Node, numbers: dict[fx.Node, int]) -> tuple[int, ...]:
    """The values that a node reads, one as often as it stands there."""
    found: list[fx.Node] = []
    fx.node.map_arg((node.args, node.kwargs), found.append)
    return tuple(numbers[source] for source in found)


def _demand_kind(node: fx.Node, module: nn.Module | None) -> LayerKind:
    kind = kind_of(node if module is None else module)
    if kind is None:
        found = node.target if module is None else f"{type(module).__name__} ({str(node.target).removeprefix('0.')})"
        allowed = ", ".join(dict.fromkeys(kind.label for kind in LAYERS.values()))
        raise InputError(f"network: found the layer {found}; allowed: {allowed}")
    return kind


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, ChannelAffine | WholeLayer) or super().is_leaf_module(m, module_qualified_name)
