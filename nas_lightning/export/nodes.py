"""The layers of a network as operators of plain ONNX, a row for each kind."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper
from torch import Tensor, nn

from nas_lightning.errors import InputError
from nas_lightning.graph.layers import CONVOLUTIONS, one
from nas_lightning.graph.norm import ChannelAffine
from nas_lightning.graph.trace import Layer, LayerGraph

_INPUT, _OUTPUT = "x", "logits"


@dataclass
class _Writer:
    """Nodes and constants of a graph."""

    nodes: list[NodeProto] = field(default_factory=list)
    constants: dict[str, TensorProto] = field(default_factory=dict)
    infos: list[ValueInfoProto] = field(default_factory=list)

    def constant(self, name: str, value: Tensor | NDArray[Any]) -> str:
        """Keep a constant, once; returns its name."""
        array = value.detach().float().numpy() if isinstance(value, Tensor) else value
        self.constants[name] = numpy_helper.from_array(array, name)
        return name

    def weights(self, layer: Layer) -> list[str]:
        """The names of weight and bias, if there is one."""
        module = cast(nn.Conv1d | nn.Linear, layer.module)
        given = {"weight": module.weight, "bias": module.bias}
        return [self.constant(f"{layer.name}.{name}", value) for name, value in given.items() if value is not None]

    def node(self, operator: str, inputs: Sequence[str], output: str, shape: Sequence[int], **settings: Any) -> str:
        """Append an operator; returns the name of what it makes."""
        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, **settings))
        self.infos.append(helper.make_tensor_value_info(output, TensorProto.FLOAT, shape))
        return output


def to_graph(graph: LayerGraph) -> GraphProto:
    """What a graph of layers is in ONNX: ``x`` of its shape in, ``logits`` out.

    A value is named after the kind of its layer and its number.

    Raises:
        InputError: for a layer with a setting that is not known here.
    """
    names = [_INPUT, *(f"{layer.kind.name}_{i}" for i, layer in enumerate(graph.layers, start=1))]
    if graph.output == 0:
        raise InputError("network: found no layer; allowed: one or more")
    names[graph.output] = _OUTPUT
    writer = _Writer()
    for number, layer in enumerate(graph.layers, start=1):
        NODES[layer.kind.name](writer, layer, [names[i] for i in layer.inputs], names[number])
    given = helper.make_tensor_value_info(_INPUT, TensorProto.FLOAT, graph.in_shape)
    made = [info for info in writer.infos if info.name == _OUTPUT]
    inner = [info for info in writer.infos if info.name != _OUTPUT]
    return helper.make_graph(writer.nodes, "network", [given], made, [*writer.constants.values()], value_info=inner)


def _affine(writer: _Writer, layer: Layer, inputs: list[str], output: str) -> None:
    module, shape = cast(ChannelAffine, layer.module), layer.out_shape
    value = inputs[0]
    for operator, name in (("Sub", "mean"), ("Mul", "scale"), ("Add", "shift")):
        constant = writer.constant(f"{layer.name}.{name}", getattr(module, name))
        made = output if operator == "Add" else f"{output}.{name}"
        value = writer.node(operator, [value, constant], made, shape)


def _convolution(writer: _Writer, layer: Layer, inputs: list[str], output: str) -> None:
    module = cast(nn.Conv1d, layer.module)
    if module.padding_mode != "zeros":
        raise InputError(
            f"network: found padding_mode={module.padding_mode!r} of the Conv1d {layer.name}; allowed: 'zeros'"
        )
    settings = {
        "kernel_shape": module.kernel_size,
        "strides": module.stride,
        "dilations": module.dilation,
        "pads": _pads(module),
        "group": module.groups,
    }
    writer.node("Conv", [*inputs, *writer.weights(layer)], output, layer.out_shape, **settings)


def _pads(module: nn.Conv1d) -> list[int]:
    """Zeros before and behind; of an odd number PyTorch puts the one more behind, too."""
    if not isinstance(module.padding, str):
        return [module.padding[0]] * 2
    both = module.dilation[0] * (module.kernel_size[0] - 1) if module.padding == "same" else 0
    return [both // 2, both - both // 2]


def _linear(writer: _Writer, layer: Layer, inputs: list[str], output: str) -> None:
    if len(layer.in_shape) != 2:
        raise InputError(
            f"network: found the Linear {layer.name} of values {list(layer.in_shape)}; allowed: [B, C], behind a mean "
            "over time"
        )
    writer.node("Gemm", [*inputs, *writer.weights(layer)], output, layer.out_shape, transB=1)


def _pool(operator: str) -> Callable[[_Writer, Layer, list[str], str], None]:
    def write(writer: _Writer, layer: Layer, inputs: list[str], output: str) -> None:
        module = cast(nn.MaxPool1d | nn.AvgPool1d, layer.module)
        padding = one(module.padding)
        settings: dict[str, Any] = {
            "kernel_shape": [one(module.kernel_size)],
            "strides": [one(module.stride)],
            "pads": [padding, padding],
            "ceil_mode": int(module.ceil_mode),
        }
        if isinstance(module, nn.MaxPool1d):
            settings["dilations"] = [one(module.dilation)]
        else:
            counts_padding = module.count_include_pad and padding > 0
            settings["count_include_pad"] = int(counts_padding)
            if module.ceil_mode and not counts_padding:  # padding says the same to whoever knows no ceil_mode
                settings |= {"pads": [padding, _missing(module, layer)], "ceil_mode": 0}
        writer.node(operator, inputs, output, layer.out_shape, **settings)

    return write


def _missing(pool: nn.AvgPool1d, layer: Layer) -> int:
    """Steps of the last window that are behind the end of what a pool reads."""
    end = (layer.out_shape[2] - 1) * one(pool.stride) + one(pool.kernel_size)
    return max(0, end - layer.in_shape[2] - one(pool.padding))


def _concat(writer: _Writer, layer: Layer, inputs: list[str], output: str) -> None:
    writer.node("Concat", inputs, output, layer.out_shape, axis=1)


def _mean(writer: _Writer, layer: Layer, inputs: list[str], output: str) -> None:
    time = writer.constant("time", np.array([2], np.int64))
    writer.node("ReduceMean", [*inputs, time], output, layer.out_shape, keepdims=0)


def _plain(operator: str) -> Callable[[_Writer, Layer, list[str], str], None]:
    def write(writer: _Writer, layer: Layer, inputs: list[str], output: str) -> None:
        writer.node(operator, inputs, output, layer.out_shape)

    return write


NODES: dict[str, Callable[[_Writer, Layer, list[str], str], None]] = {
    **dict.fromkeys(CONVOLUTIONS, _convolution),
    "affine": _affine,
    "linear": _linear,
    "relu": _plain("Relu"),
    **dict.fromkeys(("max_pool", "segment_max"), _pool("MaxPool")),
    **dict.fromkeys(("avg_pool", "segment_mean"), _pool("AveragePool")),
    "concat": _concat,
    "global_avg_pool": _mean,
    "add": _plain("Add"),
    "flatten": _plain("Flatten"),
}
"""By kind what writes a layer: it gets the names of what the layer reads, and that of what it makes."""
