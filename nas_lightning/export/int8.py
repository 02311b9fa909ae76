"""int8: quantization after training, as the integer operators that are compiled and as the QDQ file that others read.

ONNX Runtime's ``quantize_static`` does the work: int8 activations with one scale and zero point a tensor, int8 weights
with one scale an output channel (Jacob et al. 2018, arXiv 1712.05877, eq. 1 to 7). Activations are signed, because with
unsigned ones the kernel of ONNX Runtime saturates on processors without VNNI.
"""

import copy
import itertools
import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, compose, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from torch import Tensor

from nas_lightning.export.operators import BY_OPERATOR, FLOATS
from nas_lightning.export.session import open_session

METHODS = {
    "minmax": CalibrationMethod.MinMax,
    "percentile": CalibrationMethod.Percentile,
}
"""How the range of an activation follows from its values on the calibration samples."""

_PERCENTILE = 99.9  # of the values of an activation, on either side
_PRE_PROCESSED = {"onnx.quant.pre_process": "onnxruntime.quant"}  # else quantize_static advises to do so


@dataclass(frozen=True)
class Entry:
    """How a sample becomes int8: ``round(((x - mean) * factor + offset) / scale) + zero_point``, limited to int8.

    All of it is computed in float32.

    Attributes:
        mean: ``[C]``, of the input normalisation.
        factor: ``[C]``, of the input normalisation.
        offset: ``[C]``, of the input normalisation.
        scale: of the quantization.
        zero_point: of the quantization.
    """

    mean: NDArray[np.float32]
    factor: NDArray[np.float32]
    offset: NDArray[np.float32]
    scale: np.float32
    zero_point: int


def quantize(network: ModelProto, samples: Iterable[Tensor], method: str = "minmax") -> ModelProto:
    """The integer form of a float network: what is before its first convolution stays float.

    Args:
        network: as ``to_onnx`` writes it, with one input ``x`` and one output ``logits``.
        samples: batches ``[B, C, L]`` of training samples, which set the ranges of the activations.
        method: one of ``METHODS``; ``minmax`` where a value varies too little for a histogram.
    """
    batches = list(samples)
    try:
        return _quantize(network, batches, method)
    except ValueError:  # NumPy's, of the histogram
        if method == "minmax":
            raise
        return _quantize(network, batches, "minmax")


def _quantize(network: ModelProto, samples: Iterable[Tensor], method: str) -> ModelProto:
    model = _all_convolutions(network)
    helper.set_model_props(model, _PRE_PROCESSED)
    first = next(i for i, node in enumerate(model.graph.node) if node.op_type == "Conv")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "int8.onnx"
        with _no_advice():
            quantize_static(
                model,
                path,
                _Reader(samples),
                quant_format=QuantFormat.QOperator,
                per_channel=True,
                activation_type=QuantType.QInt8,
                weight_type=QuantType.QInt8,
                calibrate_method=METHODS[method],
                nodes_to_exclude=[node.name for node in model.graph.node[:first]],
                extra_options={"CalibPercentile": _PERCENTILE},
            )
        quantized = onnx.load(path)
    _keep_zeros(quantized, model)
    return quantized


def _keep_zeros(quantized: ModelProto, model: ModelProto) -> None:
    """Let everything with a ReLU behind it cut off at zero.

    The quantized one does so because the lowest int8 stands for 0. Where a ReLU gave nothing but zeros on all samples,
    ``quantize_static`` takes 0 for it, and negative values would pass.
    """
    inputs = {node.input[0] for node in model.graph.node if node.op_type == "Relu"}
    fused = {node.name + "_quant" for node in model.graph.node if node.output[0] in inputs}
    nodes = [node for node in quantized.graph.node if node.name in fused and node.op_type in BY_OPERATOR]
    names = {node.input[BY_OPERATOR[node.op_type].output + 1] for node in nodes}
    for tensor in quantized.graph.initializer:
        if tensor.name in names:
            tensor.CopyFrom(numpy_helper.from_array(np.array(-128, np.int8), tensor.name))


@contextmanager
def _no_advice() -> Iterator[None]:
    """Without what ``quantize_static`` logs at the root: that this form is slower on a PC than the QDQ form."""
    root, handler = logging.getLogger(), logging.NullHandler()
    root.addHandler(handler)  # without one, logging would add one that writes to the terminal, and keep it
    logging.disable(logging.WARNING)
    try:
        with redirect_stdout(StringIO()):  # the calibration by histograms prints its progress
            yield
    finally:
        logging.disable(logging.NOTSET)
        root.removeHandler(handler)


class _Reader(CalibrationDataReader):
    def __init__(self, samples: Iterable[Tensor]) -> None:
        self._samples: Iterator[Tensor] = itertools.chain.from_iterable(samples)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        sample = next(self._samples, None)
        return None if sample is None else {"x": sample[None].numpy()}


def _all_convolutions(network: ModelProto) -> ModelProto:
    """The same network with the mean over time and linear layers as operators that have an integer form in float32.

    ``ReduceMean`` has none, and that of ``Gemm`` computes in float64 when it is compiled; a linear layer on all of S
    time steps is a convolution of S taps that meets them once. So nothing is flattened but the logits.
    """
    model = copy.deepcopy(network)
    graph = model.graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    shapes = {info.name: _shape_of(info) for info in graph.value_info}
    nodes: list[NodeProto] = []
    names, steps = dict[str, str](), dict[str, int]()  # of what was flattened: before it, and how many steps it has
    for node in graph.node:
        inputs, output = [names.get(name, name) for name in node.input], node.output[0]
        count = steps.get(inputs[0], 1)
        if node.op_type == "Flatten":
            names[output], steps[inputs[0]] = inputs[0], shapes[inputs[0]][2]
        elif node.op_type == "ReduceMean":
            nodes.append(helper.make_node("GlobalAveragePool", inputs[:1], [output], name=node.name))
        elif node.op_type == "Gemm":
            weight = weights[inputs[1]]
            weight.dims[1] //= count
            weight.dims.append(count)
            nodes.append(helper.make_node("Conv", inputs, [output], name=node.name, kernel_shape=[count]))
        else:
            _keep(node.input, inputs)
            steps |= {output: count} if node.op_type == "Relu" else {}
            nodes.append(node)
    if len(_shape_of(graph.output[0])) == 2:
        nodes[-1].output[0] = "head.steps"
        nodes.append(helper.make_node("Flatten", ["head.steps"], [graph.output[0].name], name="head.flatten", axis=1))
    _keep(graph.node, nodes)
    _keep(graph.initializer, _used(nodes, graph.initializer))
    del graph.value_info[:]  # what was flattened has another rank now
    return onnx.shape_inference.infer_shapes(model, strict_mode=True)


def integer_core(model: ModelProto) -> tuple[ModelProto, Entry]:
    """The part of an integer form that computes on integers, from the int8 input ``[1, C, L]`` to the float logits.

    Its output is ``[1, K, 1]``, before the flattening. All its values have a type and a shape, which ONNX's own shape
    inference does not know for the operators of ONNX Runtime.
    """
    core = copy.deepcopy(model)
    graph = core.graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    cut = next(i for i, node in enumerate(graph.node) if node.op_type == "QuantizeLinear")
    quantization = graph.node[cut]
    flattened = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "Flatten"}
    nodes = [node for node in graph.node[cut + 1 :] if node.op_type != "Flatten"]
    for node in nodes:
        node.input[0] = flattened.get(node.input[0], node.input[0])
    names = [quantization.output[0], *(node.output[0] for node in nodes)]
    infos = [_info(name, value) for name, value in zip(names, _run(model, names), strict=True)]
    _keep(graph.node, nodes)
    _keep(graph.initializer, _used(nodes, graph.initializer))
    _keep(graph.input, infos[:1])
    _keep(graph.value_info, infos[1:-1])
    _keep(graph.output, [helper.make_tensor_value_info("logits", TensorProto.FLOAT, _shape_of(infos[-2]))])
    nodes[-1].output[0] = "logits"
    scale, zero_point = (constants[name].item() for name in quantization.input[1:])
    steps = _normalisation(model.graph, cut, constants)
    return core, Entry(steps["Sub"], steps["Mul"], steps["Add"], np.float32(scale), zero_point)


_DOES_NOTHING = {"Sub": 0.0, "Mul": 1.0, "Add": 0.0}
"""The constant that stands for a step of the normalisation that a network does not have."""


def _normalisation(graph: GraphProto, cut: int, constants: dict[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
    """The constants ``[C]`` of the steps before the quantization, by operator."""
    found = {node.op_type: constants[node.input[1]].flatten() for node in graph.node[:cut]}
    channels = graph.input[0].type.tensor_type.shape.dim[1].dim_value
    return {name: np.full(channels, value, np.float32) for name, value in _DOES_NOTHING.items()} | found


def to_qdq(integer: ModelProto) -> ModelProto:
    """The same network with each integer operator as the float one between dequantization and quantization.

    Every tool that reads ONNX knows this form; ONNX Runtime makes the integer operators of it again.

    Raises:
        NotImplementedError: for an operator without a float counterpart here.
    """
    model = copy.deepcopy(integer)
    writer = _QdqWriter(model.graph)
    for node in integer.graph.node:
        writer.add(node)
    _keep(model.graph.node, writer.nodes)
    _keep(model.graph.initializer, _used(writer.nodes, writer.constants.values()))
    _keep(model.opset_import, [opset for opset in model.opset_import if opset.domain in ("", "ai.onnx")])
    onnx.checker.check_model(model, full_check=True)
    return model


def behind_front_end(front_end: ModelProto, network: ModelProto) -> ModelProto:
    """One model of both: raw rows ``x`` in, logits out."""
    first = compose.add_prefix(front_end, "front_end.", rename_inputs=False)
    second = compose.add_prefix(network, "network.", rename_outputs=False)
    pair = (first.graph.output[0].name, second.graph.input[0].name)
    first.ir_version = second.ir_version
    return compose.merge_models(first, second, io_map=[pair])


_FLOATS = {"QuantizeLinear", "DequantizeLinear", *FLOATS["affine"]}
_COPIES = {"Flatten", *FLOATS["max_pool"]}


class _QdqWriter:
    """Writes float operators for integer ones; a value keeps the name of its integers."""

    def __init__(self, graph: GraphProto) -> None:
        self.nodes: list[NodeProto] = []
        self.constants = {tensor.name: tensor for tensor in graph.initializer}
        self.scales: dict[str, tuple[str, str]] = {}

    def add(self, node: NodeProto) -> None:
        """Append what stands for one operator of the integer form."""
        form, inputs = BY_OPERATOR.get(node.op_type), list(node.input)
        if form is not None:
            values = [(inputs[i], inputs[i + 1], inputs[i + 2]) for i in range(len(inputs))[form.values]]
            constants = self._add_constants(inputs) if form.floats == "Conv" else []
            self._add_float(node, form.floats, values, inputs[form.output : form.output + 2], constants)
        elif node.op_type in _COPIES and inputs[0] in self.scales:
            scales = self.scales[inputs[0]]
            self._add_float(node, node.op_type, [(inputs[0], *scales)], list(scales), [])
        elif node.op_type in _FLOATS:
            self.nodes.append(node)
            if node.op_type == "QuantizeLinear":
                self.scales[node.output[0]] = (inputs[1], inputs[2])
        else:
            raise NotImplementedError(f"int8: no float operator is known for {node.op_type}")

    def _add_constants(self, inputs: list[str]) -> list[str]:
        """The names of the weights and biases of a convolution as floats."""
        _, x_scale, _, weight, weight_scale, weight_zero, _, _, *bias = inputs
        names = [f"{name}_axis_0" for name in (weight, *bias)]
        self._add_constant(names[0], weight, weight_scale, weight_zero)
        if bias:
            scale = self._array(x_scale) * self._array(weight_scale)
            self._store(f"{bias[0]}_scale", scale.astype(np.float32))
            self._store(f"{bias[0]}_zero", np.zeros(scale.shape, np.int32))
            self._add_constant(names[1], bias[0], f"{bias[0]}_scale", f"{bias[0]}_zero")
        return names

    def _add_float(
        self,
        node: NodeProto,
        op_type: str,
        inputs: list[tuple[str, str, str]],
        scales: list[str],
        others: list[str],
    ) -> None:
        """``op_type`` of dequantized ``inputs`` and of float ``others``, quantized by ``scales``."""
        output = node.output[0]
        floats = [f"{output}_from_{i}" for i in range(len(inputs))]
        for (value, scale, zero), name in zip(inputs, floats, strict=True):
            self.nodes.append(helper.make_node("DequantizeLinear", [value, scale, zero], [name], name=name))
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute if a.name != "channels_last"}
        made = helper.make_node(op_type, floats + others, [f"{output}_float"], name=node.name, **attributes)
        self.nodes.append(made)
        names = [f"{output}_float", *scales]
        self.nodes.append(helper.make_node("QuantizeLinear", names, [output], name=f"{output}_quantize"))
        self.scales[output] = (scales[0], scales[1])

    def _add_constant(self, name: str, value: str, scale: str, zero: str) -> None:
        if all(node.output[0] != name for node in self.nodes):
            self.nodes.append(helper.make_node("DequantizeLinear", [value, scale, zero], [name], name=name, axis=0))

    def _array(self, name: str) -> NDArray[Any]:
        return numpy_helper.to_array(self.constants[name])

    def _store(self, name: str, value: NDArray[Any]) -> None:
        self.constants[name] = numpy_helper.from_array(value, name)


def _run(model: ModelProto, names: Sequence[str]) -> list[NDArray[Any]]:
    """The named values of a model for an input of zeros."""
    model = copy.deepcopy(model)
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name != "logits")
    session = open_session(model.SerializeToString(), optimize=False)
    zeros = {value.name: np.zeros(value.shape, np.float32) for value in session.get_inputs()}
    return list(session.run(list(names), zeros))


def _info(name: str, value: NDArray[Any]) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)


def _shape_of(info: ValueInfoProto) -> list[int]:
    return [axis.dim_value for axis in info.type.tensor_type.shape.dim]


def _used(nodes: Iterable[NodeProto], constants: Iterable[TensorProto]) -> list[TensorProto]:
    names = {name for node in nodes for name in node.input}
    return [tensor for tensor in constants if tensor.name in names]


def _keep(field: Any, entries: Iterable[Any]) -> None:
    """Replace the content of a repeated field of a protocol buffer."""
    kept = [copy.deepcopy(entry) for entry in entries]
    del field[:]
    field.extend(kept)
