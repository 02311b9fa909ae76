"""The int8 forms of a network: equal to each other bit for bit, close to the float network, and without surprises."""

import logging

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper
from small_firmware import Small, as_trained, every_op, hand_made, random_small
from torch import nn

from nas_lightning.data.features import FrontEnd
from nas_lightning.export.int8 import METHODS, behind_front_end, integer_core, quantize, to_qdq
from nas_lightning.export.onnx import front_end_to_onnx, run_onnx, to_onnx
from nas_lightning.export.session import open_session
from nas_lightning.space.reference import ConvNet
from nas_lightning.tasks import Classification

NETWORKS = {"every operation": every_op, "hand-made": hand_made} | {
    f"random {seed}": lambda seed=seed: random_small(seed) for seed in (2, 3, 7, 10)
}
over_networks = pytest.mark.parametrize("make", NETWORKS.values(), ids=NETWORKS)


def run(model, samples, *, optimize=True):
    session = open_session(model.SerializeToString(), optimize=optimize)
    return np.concatenate([session.run(None, {"x": sample[None].numpy()})[0] for sample in samples])


def outliers(made):
    """Samples with a few values far away, so that the ways to find a range differ."""
    generator = torch.Generator().manual_seed(0)
    samples = torch.randn(64, *made.samples.shape[1:], generator=generator)
    samples[:3, 0, 0] = torch.tensor([50.0, -40.0, 30.0])
    return samples


@over_networks
def test_the_qdq_form_computes_the_same_bits_as_the_integer_form(make):
    made = make()
    integer = run(made.integer, made.samples)
    np.testing.assert_array_equal(integer, run(to_qdq(made.integer), made.samples))
    np.testing.assert_array_equal(integer, run(made.integer, made.samples, optimize=False))


@over_networks
def test_computed_in_floats_the_qdq_form_differs_by_ties_of_rounding_at_most(make):
    made = make()
    integer, floats = run(made.integer, made.samples), run(to_qdq(made.integer), made.samples, optimize=False)
    steps = np.diff(np.unique(integer)).min()
    assert (integer != floats).any(1).mean() <= 0.1
    assert np.abs(integer - floats).max() <= 2.5 * steps


@over_networks
def test_int8_is_close_to_float(make):
    made = make()
    floats, integers = made.logits("floats"), made.logits()
    assert np.sqrt(np.mean((integers - floats) ** 2)) <= 0.25 * floats.std()
    assert len(np.unique(integers)) > 20


@over_networks
def test_only_what_is_before_the_first_convolution_stays_float(make):
    types = [node.op_type for node in make().integer.graph.node]
    assert types[:5] == ["Sub", "Mul", "Add", "QuantizeLinear", "QLinearConv"]
    assert types[-1] == "DequantizeLinear" or types[-2:] == ["DequantizeLinear", "Flatten"]
    assert types.count("QuantizeLinear") == types.count("DequantizeLinear") == 1
    assert set(types[4:-2]) <= {
        *("QLinearConv", "QLinearConcat", "QLinearAveragePool", "QLinearGlobalAveragePool", "MaxPool"),
        *("Flatten", "DequantizeLinear"),
    }


@over_networks
def test_each_output_channel_has_its_own_scale(make):
    graph = make().integer.graph
    shapes = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    convolutions = [node for node in graph.node if node.op_type == "QLinearConv"]
    assert all(shapes[node.input[4]] == shapes[node.input[3]][:1] for node in convolutions)


@over_networks
def test_the_qdq_form_has_only_operators_of_plain_onnx(make):
    qdq = to_qdq(make().integer)
    assert {opset.domain for opset in qdq.opset_import} <= {"", "ai.onnx"}
    assert {node.domain for node in qdq.graph.node} <= {"", "ai.onnx"}
    assert not any(node.op_type.startswith("QLinear") for node in qdq.graph.node)
    assert [value.name for value in (*qdq.graph.input, *qdq.graph.output)] == ["x", "logits"]
    onnx.checker.check_model(qdq, full_check=True)


@over_networks
def test_entry_and_integer_core_are_the_whole(make):
    made = make()
    core, entry = integer_core(made.integer)
    session = open_session(core.SerializeToString(), optimize=False)
    (source,), (target,) = session.get_inputs(), session.get_outputs()
    assert (source.type, source.shape) == ("tensor(int8)", [1, *made.samples.shape[1:]])
    assert (target.name, target.shape) == ("logits", [1, made.task.num_classes, 1])
    assert entry.mean.shape == entry.factor.shape == entry.offset.shape == (made.task.in_channels,)
    assert {entry.mean.dtype, entry.factor.dtype, entry.offset.dtype, entry.scale.dtype} == {np.dtype(np.float32)}
    expected = made.logits()
    for sample, logits in zip(made.samples.numpy(), expected, strict=True):
        value = (sample - entry.mean[:, None]) * entry.factor[:, None] + entry.offset[:, None]
        value = value / entry.scale
        assert value.dtype == np.float32
        quantized = np.clip(np.rint(value) + entry.zero_point, -128, 127).astype(np.int8)
        np.testing.assert_array_equal(session.run(None, {source.name: quantized[None]})[0][0, :, 0], logits)


@over_networks
def test_every_value_of_the_core_has_a_type_and_a_shape(make):
    graph = integer_core(make().integer)[0].graph
    known = {info.name for info in (*graph.value_info, *graph.input, *graph.output)}
    made_by = {name for node in graph.node for name in node.output}
    assert made_by <= known
    assert {node.op_type for node in graph.node}.isdisjoint({"QuantizeLinear", "Flatten", "Sub", "Mul", "Add"})


def test_what_is_quantized_is_left_as_it_is():
    made = hand_made()
    floats = to_onnx(made.network, made.samples.shape[1:])
    before = floats.SerializeToString(), made.integer.SerializeToString()
    quantize(floats, [made.samples])
    to_qdq(made.integer)
    integer_core(made.integer)
    assert (floats.SerializeToString(), made.integer.SerializeToString()) == before


def test_samples_in_batches_give_the_same_network_as_in_one():
    made = hand_made()
    whole, parts = ([made.samples], made.samples.split(5))
    assert quantize(made.floats, whole) == quantize(made.floats, parts) == made.integer


def test_each_method_finds_another_network():
    made = random_small(0)
    found = {method: quantize(made.floats, [outliers(made)], method).SerializeToString() for method in METHODS}
    assert len(set(found.values())) == len(METHODS) >= 2


def with_dead_relu():
    """A network with a ReLU that is zero on the samples, but not on those times -20."""
    torch.manual_seed(0)
    task = Classification(1, 16, 3)
    network = ConvNet(task, [2, 3, 4], 3)
    samples = torch.randn(32, 1, 16)
    as_trained(network, samples)
    (norm,) = (module for module in network.blocks[1] if isinstance(module, nn.BatchNorm1d))
    norm.bias.data -= 20
    return network, task, samples


@pytest.mark.parametrize("method", METHODS)
def test_a_relu_that_gives_only_zeros_on_the_samples_still_cuts_off(method):
    network, task, samples = with_dead_relu()
    floats = to_onnx(network, samples.shape[1:])
    dead = network.blocks[:2](network.stem(samples))
    assert float(dead.detach().abs().max()) == 0
    assert float(network.blocks[:2](network.stem(-100 * samples)).detach().abs().max()) > 0
    made = Small(network, task, samples, floats, quantize(floats, [samples], method))
    np.testing.assert_allclose(made.logits(), made.logits("floats"), atol=0.02)
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in made.integer.graph.initializer}
    convolutions = [node for node in made.integer.graph.node if node.op_type == "QLinearConv"]
    assert [int(constants[node.input[7]]) for node in convolutions[:3]] == [-128] * 3  # the fourth is the head


def test_a_convolution_without_relu_keeps_negative_values():
    made = every_op()  # its sep_conv has a depthwise convolution without one
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in made.integer.graph.initializer}
    zeros = [int(constants[node.input[7]]) for node in made.integer.graph.node if node.op_type == "QLinearConv"]
    assert any(zero > -128 for zero in zeros[:-1])


def test_an_operator_without_a_float_form_is_named():
    model = hand_made().integer
    changed = onnx.ModelProto.FromString(model.SerializeToString())
    changed.graph.node.insert(4, helper.make_node("QLinearSigmoid", ["a"], ["b"], domain="com.microsoft"))
    with pytest.raises(NotImplementedError, match="int8: no float operator is known for QLinearSigmoid"):
        to_qdq(changed)


@pytest.mark.parametrize("method", METHODS)
def test_nothing_is_printed_and_logging_stays_as_it_was(method, capfd):
    made, root = hand_made(), logging.getLogger()
    capfd.readouterr()
    before = list(root.handlers), root.level, logging.NOTSET
    quantize(made.floats, [made.samples], method)
    assert (list(root.handlers), root.level, root.manager.disable) == before
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("level", "noise"), [(0.0, 0.0), (5.0, 0.0), (5.0, 1e-6)])
def test_a_flat_sample_is_no_obstacle(method, level, noise):
    made = hand_made()
    torch.manual_seed(0)
    flat = level + noise * torch.randn_like(made.samples[:1])
    assert np.isfinite(run(quantize(made.floats, [flat], method), made.samples)).all()


def test_a_front_end_goes_before_either_form():
    made = hand_made(1, 16)
    front_end = FrontEnd(["FFT_FE", "FFT_POS_HALF", "DC_REMOVE", "ABS"], frame_size=32)
    rows = torch.randn(8, 1, 32)
    features = front_end(rows)
    assert features.shape[1:] == made.samples.shape[1:]
    exported = front_end_to_onnx(front_end.for_export(), rows.shape[1:])
    for network in (made.floats, to_qdq(made.integer)):
        whole = behind_front_end(exported, network)
        onnx.checker.check_model(whole, full_check=True)
        assert [value.name for value in (*whole.graph.input, *whole.graph.output)] == ["x", "logits"]
        found = run_onnx(whole.SerializeToString(), [rows])
        between = run_onnx(exported.SerializeToString(), [rows])
        torch.testing.assert_close(between, features, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(found, run_onnx(network.SerializeToString(), [between]), rtol=0, atol=1e-6)


def test_a_step_of_the_normalisation_that_is_not_in_the_file_does_nothing():
    """As the addition of 0, which the exporter leaves out."""
    made = hand_made()
    floats = onnx.ModelProto.FromString(made.floats.SerializeToString())
    first, second = floats.graph.node[:2]
    assert (first.op_type, second.op_type) == ("Sub", "Mul")
    second.input[0] = first.input[0]
    floats.graph.node.remove(first)
    _, entry = integer_core(quantize(floats, [made.samples]))
    _, whole = integer_core(made.integer)
    np.testing.assert_array_equal(entry.mean, np.zeros(made.task.in_channels, np.float32))
    np.testing.assert_array_equal(entry.factor, whole.factor)
