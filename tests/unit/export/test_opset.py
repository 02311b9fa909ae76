"""Older forms of the ONNX files: accepted by the checker and by ONNX Runtime, and with the same results."""

import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from small_firmware import every_op, hand_made

from nas_lightning.data.features import FrontEnd
from nas_lightning.errors import InputError
from nas_lightning.export.allowed import read_model
from nas_lightning.export.contract import InputDescription
from nas_lightning.export.int8 import behind_front_end, to_qdq
from nas_lightning.export.onnx import described, front_end_to_onnx, run_onnx
from nas_lightning.export.opset import NEWEST, OLDEST, OPSET, at_opset
from nas_lightning.tasks import Classes

IR = {13: 7, 14: 7, 15: 8, 16: 8, 17: 8, 18: 8, 19: 9, 21: 10, 22: 10, 23: 11, 24: 12}
"""The oldest form of the file for each opset, by the table of the package onnx."""


def opset_of(model):
    (found,) = (entry.version for entry in model.opset_import)
    return found


@pytest.mark.parametrize("opset", range(OLDEST, NEWEST + 1))
def test_networks_compute_the_same_in_every_opset(opset, tmp_path):
    for made in (every_op(), hand_made()):
        for model in (made.floats, to_qdq(made.integer)):
            found = at_opset(model, opset)
            assert opset_of(found) == opset
            assert found.ir_version == IR.get(opset, model.ir_version)
            onnx.checker.check_model(found, full_check=True)
            expected = run_onnx(model.SerializeToString(), [made.samples])
            torch.testing.assert_close(run_onnx(found.SerializeToString(), [made.samples]), expected, rtol=0, atol=1e-6)
            (tmp_path / "model.onnx").write_bytes(found.SerializeToString())
            assert read_model(tmp_path, "model.onnx", 1 << 28) == found


@pytest.mark.parametrize("opset", [OLDEST, 17])
def test_a_front_end_goes_before_it(opset):
    steps = ["WINDOWING", "RAW_FE", "FFT_FE", "NORMALIZE", "FFT_POS_HALF", "ABS", "ROUND_OFF", "DC_REMOVE", "LOG_DB"]
    front_end = FrontEnd([*steps, "BINNING", "CONCAT"], frame_size=32, feature_size_per_frame=8, num_frame_concat=2)
    made = hand_made(1, 16)
    rows = torch.randn(8, 1, front_end.rows, generator=torch.Generator().manual_seed(0))
    model = behind_front_end(front_end_to_onnx(front_end.for_export(), rows.shape[1:]), made.floats)
    expected = run_onnx(model.SerializeToString(), [rows])
    found = at_opset(model, opset)
    torch.testing.assert_close(run_onnx(found.SerializeToString(), [rows]), expected, rtol=1e-5, atol=1e-5)


def test_the_usual_opset_changes_nothing():
    model = hand_made().floats
    assert opset_of(model) == OPSET
    assert at_opset(model, OPSET) == model


def one_node(operator, shape, **attributes):
    node = helper.make_node(operator, ["x"], ["logits"], **attributes)
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2, 8])
    made = helper.make_tensor_value_info("logits", TensorProto.FLOAT, shape)
    graph = helper.make_graph([node], "graph", [given], [made])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])


def test_an_operator_that_is_newer_is_named():
    with pytest.raises(InputError, match=r"^`opset`: found 13; the network has the operator Gelu; allowed: 20 or"):
        at_opset(one_node("Gelu", [1, 2, 8]), 13)


def test_a_setting_that_is_newer_is_named():
    dilated = one_node("AveragePool", [1, 2, 6], kernel_shape=[2], dilations=[2])
    with pytest.raises(
        InputError, match=r"^`opset`: found 18; AveragePool has no dilations there; allowed: 19 or more$"
    ):
        at_opset(dilated, 18)
    assert at_opset(dilated, 19)
    found = at_opset(one_node("AveragePool", [1, 2, 7], kernel_shape=[2], dilations=[1]), 13)
    assert [attribute.name for attribute in found.graph.node[0].attribute] == ["kernel_shape"]


def test_the_files_say_what_they_take():
    about = InputDescription("0.2", "abc", Classes(("a", "b", "c")), opset=15)
    made = hand_made()
    for model in (made.floats, to_qdq(made.integer)):
        found = described(model, about)
        assert {entry.key: entry.value for entry in found.metadata_props} == about.metadata()
        assert opset_of(found) == 15
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in found.graph.initializer}
    assert weights.keys() == {tensor.name for tensor in model.graph.initializer}
