"""An archive may hold every ONNX file that is written here: of each operation and each feature preset, by listing."""

from itertools import chain

import pytest
from small_firmware import every_op, hand_made, hard_to_place, with_twins

from nas_lightning.config.compose import compose_config, conf_dir
from nas_lightning.export.allowed import FRONT_END_OPERATORS, NETWORK_OPERATORS, read_model, without_notes
from nas_lightning.export.int8 import behind_front_end, to_qdq
from nas_lightning.export.onnx import front_end_to_onnx
from nas_lightning.runs.build import build_data

NAMES = sorted(path.stem for path in (conf_dir() / "features").glob("*.yaml"))
SECTION = "data_processing_feature_extraction"
NETWORKS = {"every operation": every_op, "hand-made": hand_made, "twins": with_twins, "hard to place": hard_to_place}


def may_be_there(model, folder):
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    assert read_model(folder, "model.onnx", 1 << 28) == model


@pytest.mark.parametrize("name", NETWORKS)
def test_networks(name, tmp_path):
    made = NETWORKS[name]()
    for model in (made.floats, made.integer, to_qdq(made.integer)):
        may_be_there(model, tmp_path)
        assert {node.op_type for node in without_notes(model).graph.node} == {node.op_type for node in model.graph.node}


@pytest.mark.slow
def test_front_ends(tmp_path):
    written = set()
    for name in NAMES:
        own = [f"{SECTION}.frame_size=64", f"{SECTION}.feature_size_per_frame=16"] * name.startswith(("Custom", "none"))
        front_end = build_data(compose_config([f"features={name}", *own])).front_end
        if front_end.is_exportable:
            model = front_end_to_onnx(front_end.for_export(), (2, front_end.rows))
            written |= {node.op_type for node in model.graph.node}
            may_be_there(model, tmp_path)
    shape = [axis.dim_value for axis in model.graph.output[0].type.tensor_type.shape.dim]
    may_be_there(behind_front_end(model, hand_made(*shape[1:]).floats), tmp_path)
    assert len(written & FRONT_END_OPERATORS) > 10


def test_no_operator_is_allowed_for_nothing():
    """Those of networks; front ends of other versions of the exporter may need what this one does not write."""
    models = chain(*((made.floats, made.integer, to_qdq(made.integer)) for made in (every_op(), hand_made())))
    assert {node.op_type for model in models for node in model.graph.node} >= NETWORK_OPERATORS
