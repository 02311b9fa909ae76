"""Older forms of an ONNX file, for tools that are older than the exporter."""

import onnx
from onnx import AttributeProto, ModelProto, NodeProto, helper, numpy_helper

from nas_lightning.errors import InputError, brief

OPSET = 20
"""In which networks are exported."""

OLDEST, NEWEST = 13, 24
"""What ``at_opset`` can give: from 13 on a weight may have one scale an output channel."""

_AXES_ARE_INPUTS = 18  # of ReduceMean


def at_opset(model: ModelProto, opset: int) -> ModelProto:
    """The same network in another opset, and in the oldest form of the file that may hold it.

    The converter of the package onnx stops at operators whose newer versions take more types and are else the same; so
    the nodes are kept, written as that opset has them, and checked by it.

    Args:
        model: as it is written here, in ``OPSET``.
        opset: of the operators of plain ONNX.

    Raises:
        InputError: naming the operator that has no form in that opset.
    """
    made = ModelProto.FromString(model.SerializeToString())
    if all(entry.version == opset for entry in made.opset_import if entry.domain in ("", "ai.onnx")):
        return made
    others = [entry for entry in made.opset_import if entry.domain not in ("", "ai.onnx")]
    del made.opset_import[:]  # a model that was merged of two has both of theirs
    made.opset_import.extend([helper.make_opsetid("", opset), *others])
    made.ir_version = helper.find_min_ir_version_for(list(made.opset_import), ignore_unknown=True)
    graph = made.graph
    for part in (graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        part.ClearField("metadata_props")  # notes of the exporter, which older files cannot hold
    for node in graph.node:
        if node.domain in ("", "ai.onnx"):
            _rewrite(node, made, opset)
    used = {name for node in graph.node for name in node.input}
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in used]:
        graph.initializer.remove(tensor)
    try:
        onnx.checker.check_model(made, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise InputError(f"`opset`: found {opset}; the network has no form in it ({brief(error)})") from error
    return made


def _rewrite(node: NodeProto, model: ModelProto, opset: int) -> None:
    """Write a node as an opset has it."""
    try:
        schema = onnx.defs.get_schema(node.op_type, opset, "")
    except onnx.defs.SchemaError as error:
        since = onnx.defs.get_schema(node.op_type).since_version
        raise InputError(
            f"`opset`: found {opset}; the network has the operator {node.op_type}; allowed: {since} or more"
        ) from error
    if node.op_type == "ReduceMean" and opset < _AXES_ARE_INPUTS and len(node.input) > 1:
        axes = next(tensor for tensor in model.graph.initializer if tensor.name == node.input[1])
        del node.input[1]
        node.attribute.append(helper.make_attribute("axes", numpy_helper.to_array(axes).tolist()))
    written = onnx.defs.get_schema(node.op_type, OPSET, "").attributes  # with their defaults
    for attribute in [attribute for attribute in node.attribute if attribute.name not in schema.attributes]:
        default = helper.get_attribute_value(written[attribute.name].default_value)
        if helper.get_attribute_value(attribute) != default and not _changes_nothing(node, attribute, model):
            least = next(i for i in range(opset, OPSET + 1) if attribute.name in _attributes_of(node, i))
            raise InputError(
                f"`opset`: found {opset}; {node.op_type} has no {attribute.name} there; allowed: {least} or more"
            )
        node.attribute.remove(attribute)


def _attributes_of(node: NodeProto, opset: int) -> set[str]:
    return set(onnx.defs.get_schema(node.op_type, opset, "").attributes)


def _changes_nothing(node: NodeProto, attribute: AttributeProto, model: ModelProto) -> bool:
    """Whether a setting says what is done without it, or is of no use here."""
    if attribute.name == "dilations":
        return set(attribute.ints) <= {1}
    if attribute.name == "allowzero":  # of a length 0 in a shape
        shapes = [tensor for tensor in model.graph.initializer if tensor.name == node.input[1]]
        return bool(shapes) and bool(numpy_helper.to_array(shapes[0]).all())
    return False
