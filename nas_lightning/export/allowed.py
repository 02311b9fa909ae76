"""What an ONNX file of an archive may hold: what is written here, and nothing that reads files, branches or loops."""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

from onnx import AttributeProto, ModelProto, NodeProto, TensorProto

from nas_lightning.errors import InputError
from nas_lightning.export.limits import shown
from nas_lightning.export.operators import BY_OPERATOR, FLOATS

NETWORK_OPERATORS = {
    *itertools.chain(*FLOATS.values()),
    *(row.floats for row in BY_OPERATOR.values()),
    *("Flatten", "QuantizeLinear", "DequantizeLinear", "QLinearConv"),
}
"""Of networks, as floats and as integers."""

FRONT_END_OPERATORS = {
    *("Abs", "Clip", "Div", "Gather", "Identity", "Log", "MatMul", "Pow", "ReduceSum", "Reshape", "Round", "Slice"),
    *("Sqrt", "Squeeze", "Transpose", "Unsqueeze"),
}
"""Of what may lie before a network."""

_OPERATORS = {
    "": NETWORK_OPERATORS | FRONT_END_OPERATORS,
    "com.microsoft": BY_OPERATOR.keys() - {"QLinearConv"},
}
_DOMAINS = {*_OPERATORS, "ai.onnx"}
_ATTRIBUTES = {
    *(AttributeProto.INT, AttributeProto.INTS, AttributeProto.FLOAT, AttributeProto.FLOATS, AttributeProto.STRING),
}
_TYPES = {TensorProto.FLOAT, TensorProto.INT8, TensorProto.INT32, TensorProto.INT64}
_NAME = re.compile(r"[\w./:-]{0,500}", re.ASCII)  # no mark of a comment, string or line of C
_MOST_NODES = 5000


def read_model(folder: Path, name: str, most_bytes: int) -> ModelProto:
    """Read a model that a stranger may have made; it is not run.

    Args:
        folder: that holds the file.
        name: of the file, for messages too.
        most_bytes: that it may have.

    Raises:
        InputError: naming the file, if it is no ONNX file or holds what is never written here.
    """
    size = (folder / name).stat().st_size
    if size > most_bytes:
        raise InputError(f"{name}: has {size:,} bytes; allowed: {most_bytes:,}")
    try:
        model = ModelProto.FromString((folder / name).read_bytes())
        found = next(_faults(model), None)
    except Exception as error:  # protobuf raises its own kinds, and gives bytes where a text is none
        raise InputError(f"{name}: cannot be read as ONNX ({shown(error)})") from error
    if found is not None:
        raise InputError(f"{name}: has {shown(found)}, which nas_lightning never writes")
    return model


def without_notes(model: ModelProto) -> ModelProto:
    """The same model without texts that nothing computes with, which may hold anything."""
    plain = ModelProto.FromString(model.SerializeToString())
    graph = plain.graph
    for part in (plain, graph, *graph.node, *graph.initializer, *graph.value_info, *graph.input, *graph.output):
        for field in ("doc_string", "metadata_props"):
            if field in part.DESCRIPTOR.fields_by_name:
                part.ClearField(field)
    for node in graph.node:
        for attribute in node.attribute:
            attribute.ClearField("doc_string")
    return plain


def _faults(model: ModelProto) -> Iterator[str]:
    """What is not allowed, each in a few words."""
    graph = model.graph
    if not graph.node or len(graph.node) > _MOST_NODES:
        yield f"{len(graph.node):,} operators"
    if [value.name for value in graph.input] != ["x"] or len(graph.output) != 1:
        yield "other inputs than x, or other outputs than one"
    if model.functions or model.training_info or graph.sparse_initializer or graph.quantization_annotation:
        yield "functions, training or sparse weights"
    if unknown := {opset.domain for opset in model.opset_import} - _DOMAINS:
        yield f"the domain {min(unknown)!r}"
    for node in graph.node:
        yield from _faults_of_node(node)
    for tensor in graph.initializer:
        if tensor.data_location != TensorProto.DEFAULT or tensor.external_data:
            yield f"the weights {tensor.name!r} in another file"
        elif tensor.data_type not in _TYPES:
            yield f"the weights {tensor.name!r} of the type {tensor.data_type}"
    values = [*graph.input, *graph.output, *graph.value_info]
    shapes = [value.type.tensor_type.shape.dim for value in values]
    names = [graph.name, *(tensor.name for tensor in graph.initializer), *(value.name for value in values)]
    names += [axis.dim_param for shape in shapes for axis in shape]
    yield from _bad_names(names)


def _faults_of_node(node: NodeProto) -> Iterator[str]:
    if node.op_type not in _OPERATORS.get(node.domain.replace("ai.onnx", ""), set()):
        yield f"the operator {node.domain + '.' if node.domain else ''}{node.op_type}"
    for attribute in node.attribute:
        if attribute.type not in _ATTRIBUTES or attribute.ref_attr_name:
            yield f"an attribute {attribute.name!r} of {node.op_type} that is no number"
    texts = [attribute.s.decode(errors="replace") for attribute in node.attribute]
    yield from _bad_names([node.name, *node.input, *node.output, *texts, *(a.name for a in node.attribute)])


def _bad_names(names: list[str]) -> Iterator[str]:
    for name in names:
        if not _NAME.fullmatch(name):
            yield f"the name {name!r}"
