"""What the code of a network takes: kinds and shapes of layers, and numbers for every core that can be measured."""

import itertools
import math
from dataclasses import replace

import pytest
import torch
from small_firmware import every_op, random_small, with_twins
from torch import nn

from nas_lightning.config.compose import device_cards
from nas_lightning.cost import code
from nas_lightning.cost.code import (
    REFERENCE_CORE,
    code_model,
    core_named,
    features_of,
    signature_of,
)
from nas_lightning.cost.exact import Numbers, cost_of
from nas_lightning.export.emulator import CORES
from nas_lightning.graph.layers import LAYERS, kind_of
from nas_lightning.graph.norm import ChannelAffine
from nas_lightning.graph.trace import Layer, trace

FORMS = ("int8", "float32")
NUM_FEATURES = {
    "conv": 5,
    "depthwise": 5,
    "pointwise": 4,
    "linear": 4,
    "concat": 3,
    "global_avg_pool": 3,
    "affine": 3,
    "relu": 3,
    "max_pool": 3,
    "avg_pool": 3,
    "add": 3,
    "segment_max": 4,
    "segment_mean": 4,
    "flatten": 2,
}


def layer(module, in_shape, out_shape, kind=None, num_inputs=1):
    kind = LAYERS[kind] if kind else kind_of(module)
    return Layer("name", kind, module, (0,) * num_inputs, torch.Size(in_shape), torch.Size(out_shape))


BY_HAND = {  # layer, its kind, its features
    "conv": (layer(nn.Conv1d(2, 4, 3, 2, 1), (1, 2, 10), (1, 4, 5)), "conv", (1, 4, 20, 20 * 2, 20 * 2 * 3)),
    "conv of one channel": (layer(nn.Conv1d(1, 1, 5, groups=1), (1, 1, 9), (1, 1, 5)), "conv", (1, 1, 5, 5, 25)),
    "depthwise": (
        layer(nn.Conv1d(4, 4, 7, 1, 3, groups=4), (1, 4, 10), (1, 4, 10)),
        "depthwise",
        (1, 4, 40, 40, 40 * 7),
    ),
    "depthwise of one tap": (
        layer(nn.Conv1d(4, 4, 1, groups=4), (1, 4, 10), (1, 4, 10)),
        "depthwise",
        (1, 4, 40, 40, 40),
    ),
    "pointwise": (layer(nn.Conv1d(3, 6, 1, 2), (1, 3, 9), (1, 6, 5)), "pointwise", (1, 6, 30, 90)),
    "linear": (layer(nn.Linear(8, 3), (1, 8), (1, 3)), "linear", (1, 3, 3, 24)),
    "concat": (layer(None, (1, 2, 5), (1, 8, 5), "concat", 4), "concat", (1, 4, 40)),
    "global_avg_pool": (layer(None, (1, 8, 5), (1, 8), "global_avg_pool"), "global_avg_pool", (1, 8, 40)),
    "affine": (layer(ChannelAffine(*torch.ones(3, 3)), (1, 3, 7), (1, 3, 7)), "affine", (1, 3, 21)),
    "relu": (layer(nn.ReLU(), (1, 3, 7), (1, 3, 7)), "relu", (1, 3, 21)),
    "max_pool": (layer(nn.MaxPool1d(3, 2, 1), (1, 3, 7), (1, 3, 4)), "max_pool", (1, 3, 12)),
    "add": (layer(None, (1, 3, 7), (1, 3, 7), "add", 2), "add", (1, 3, 21)),
    "avg_pool": (layer(nn.AvgPool1d(3, 1, 1), (1, 3, 7), (1, 3, 7)), "avg_pool", (1, 3, 21)),
    "segment_max": (layer(nn.MaxPool1d(7), (1, 3, 7), (1, 3, 1)), "segment_max", (1, 3, 21, 0)),
    "segment_mean": (layer(nn.AvgPool1d(2), (1, 3, 8), (1, 3, 4)), "segment_mean", (1, 12, 24, 0)),
    "segment_mean with a short end": (
        layer(nn.AvgPool1d(3, ceil_mode=True), (1, 3, 7), (1, 3, 3)),
        "segment_mean",
        (1, 9, 27, 27),
    ),
    "flatten": (layer(nn.Flatten(), (1, 3, 4), (1, 12)), "flatten", (1, 12)),
}
by_hand = pytest.mark.parametrize(("layer", "kind", "features"), BY_HAND.values(), ids=BY_HAND)


@by_hand
def test_kinds_and_features_counted_by_hand(layer, kind, features):
    assert layer.kind.name == kind
    assert features_of(layer) == features
    assert len(features) == NUM_FEATURES[kind]


def test_every_kind_is_counted_by_hand():
    assert {kind for _, kind, _ in BY_HAND.values()} == NUM_FEATURES.keys()


def test_the_products_of_a_convolution_are_its_macs():
    made = every_op()
    layers = trace(made.network, made.task.in_channels, made.task.length).layers
    rows = cost_of(made.network, made.task.in_channels, made.task.length).layers
    for found, row in zip(layers, rows, strict=True):
        if found.kind.name in ("conv", "depthwise", "pointwise", "linear"):
            assert features_of(found)[-1] == row.macs


def test_signatures_tell_layers_apart_that_need_their_own_code():
    convolutions = [
        ((3, 1, 1), {}),
        ((5, 1, 2), {}),
        ((3, 2, 1), {}),
        ((3, 1, 2), {"dilation": 2}),
        ((3, 1, 1), {"groups": 4}),
        ((3, 1, 1), {"bias": False}),
    ]
    modules = [nn.Conv1d(4, 4, *sizes, **more) for sizes, more in convolutions]
    modules += [nn.MaxPool1d(3, 1, 1), nn.AvgPool1d(3, 1, 1), nn.MaxPool1d(3, 2, 1), nn.ReLU()]
    modules += [nn.MaxPool1d(4), nn.MaxPool1d(5), nn.AvgPool1d(4), nn.AvgPool1d(5)]  # of 10 steps two each
    layers = [layer(module, (1, 4, 10), module(torch.zeros(1, 4, 10)).shape) for module in modules]
    layers += [layer(nn.ReLU(), (1, 4, 9), (1, 4, 9)), layer(nn.ReLU(), (1, 9, 4), (1, 9, 4))]
    layers += [layer(None, (1, 4, 10), (1, 4 * n, 10), "concat", n) for n in (2, 3)]
    assert len({signature_of(found) for found in layers}) == len(layers)


@by_hand
def test_equal_shapes_have_equal_signatures(layer, kind, features):
    again = replace(layer, name="another name")
    assert signature_of(again) == signature_of(layer)
    assert signature_of(layer)[0] == kind
    hash(signature_of(layer))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("core", CORES)
def test_every_core_has_numbers_for_every_kind(core, form):
    content = code._content()[core][form]
    assert content.keys() == {"base_bytes", "code_bytes", "call_bytes", "instructions"}
    assert isinstance(content["base_bytes"], int)
    assert content["base_bytes"] >= 0
    for table in ("code_bytes", "call_bytes"):
        assert content[table].keys() == NUM_FEATURES.keys() | {"concat_input"}
        assert all(isinstance(size, int) and size >= 0 for size in content[table].values())
    assert {kind: len(row) for kind, row in content["instructions"].items()} == NUM_FEATURES
    assert all(math.isfinite(number) for row in content["instructions"].values() for number in row)


def test_the_file_has_the_cores_that_can_be_measured_and_both_forms():
    assert code._content().keys() == set(CORES)
    assert all(tuple(forms) == FORMS or set(forms) == set(FORMS) for forms in code._content().values())
    assert REFERENCE_CORE in CORES


@pytest.mark.parametrize(("bits", "form"), [(8, "int8"), (16, "int8"), (32, "float32")])
def test_the_form_follows_the_bits(bits, form):
    found, content = code_model("cortex-m3", bits), code._content()["cortex-m3"][form]
    assert (found.base_bytes, found.code_bytes, found.call_bytes) == tuple(
        content[key] for key in ("base_bytes", "code_bytes", "call_bytes")
    )
    assert found.instructions == {kind: tuple(row) for kind, row in content["instructions"].items()}


def test_16_bits_are_integers(monkeypatch):
    monkeypatch.setattr(code, "_content", lambda: {"core": {"int8": table(1), "float32": table(2)}})
    found = {bits: code_model.__wrapped__("core", bits).base_bytes for bits in (8, 16, 32)}
    assert found == {8: 1, 16: 1, 32: 2}


def table(base_bytes):
    return {"base_bytes": base_bytes, "code_bytes": {}, "call_bytes": {}, "instructions": {}}


NUMBERS = code.CodeModel(
    base_bytes=1000,
    code_bytes=dict.fromkeys(NUM_FEATURES, 100) | {"conv": 300, "concat_input": 7},
    call_bytes=dict.fromkeys(NUM_FEATURES, 10) | {"conv": 30, "concat_input": 3},
    instructions={kind: tuple(0.5 * 10**i for i in range(size)) for kind, size in NUM_FEATURES.items()},
)


def test_bytes_and_instructions_counted_by_hand():
    conv, concat, relu = (BY_HAND[name][0] for name in ("conv", "concat", "relu"))
    assert (NUMBERS.code_of(conv), NUMBERS.call_of(conv)) == (300, 30)
    assert (NUMBERS.code_of(concat), NUMBERS.call_of(concat)) == (100 + 4 * 7, 10 + 4 * 3)
    assert NUMBERS.instructions_of(relu) == round(0.5 + 5 * 3 + 50 * 21)
    assert NUMBERS.instructions_of(conv) == round(0.5 + 5 * 4 + 50 * 20 + 500 * 40 + 5000 * 120)


def test_instructions_are_never_less_than_none():
    below = code.CodeModel(0, {}, {}, {"relu": (-100.0, 0.0, 0.0)})
    assert below.instructions_of(BY_HAND["relu"][0]) == 0


@pytest.mark.parametrize(
    ("name", "core"),
    [
        ("Cortex-M0+", "cortex-m0plus"),
        ("Cortex-M4F", "cortex-m4"),
        ("Cortex-M4", "cortex-m4"),
        ("Cortex-M33F", "cortex-m33"),
        ("cortex-m7", "cortex-m7"),
        ("Cortex-M0", None),
        ("Cortex-R5F", None),
        ("C28x", None),
        ("", None),
    ],
)
def test_cores_by_the_names_of_the_cards(name, core):
    assert core_named(name) == core


def test_every_card_of_a_cortex_m_has_a_core():
    cores = {card.core for card in device_cards() if card.core}
    assert {core_named(core) for core in cores if core.startswith("Cortex-M")} == set(CORES)
    assert {core_named(core) for core in cores if not core.startswith("Cortex-M")} == {None}


@pytest.mark.parametrize(("core", "bits"), list(itertools.product(CORES, (8, 32))))
@pytest.mark.parametrize("make", [every_op, with_twins, lambda: random_small(2)], ids=["every", "twins", "random"])
def test_flash_is_the_base_and_the_rows(make, core, bits):
    made, numbers = make(), Numbers(bits, bits, core)
    cost = cost_of(made.network, made.task.in_channels, made.task.length, numbers)
    model = code_model(core, bits)
    assert cost.core == core
    assert cost.flash_bytes == model.base_bytes + sum(row.flash_bytes for row in cost.layers)
    layers = trace(made.network, made.task.in_channels, made.task.length).layers
    functions = {signature_of(found): model.code_of(found) for found in layers}
    own = sum(map(numbers.own_bytes, layers))
    assert cost.flash_bytes == model.base_bytes + sum(functions.values()) + own
    assert cost.instructions == sum(map(model.instructions_of, layers)) == sum(row.instructions for row in cost.layers)


@pytest.mark.parametrize("core", CORES)
def test_a_second_layer_of_equal_shape_adds_no_code(core):
    numbers = Numbers(core=core)
    module = nn.Conv1d(3, 3, 5, 1, 2)
    one, two, three = (cost_of(nn.Sequential(*[module] * n), 3, 20, numbers) for n in (1, 2, 3))
    own = numbers.own_bytes(trace(module, 3, 20).layers[0])
    assert two.flash_bytes - one.flash_bytes == three.flash_bytes - two.flash_bytes == own
    assert [row.flash_bytes for row in three.layers] == [one.flash_bytes - numbers.base_bytes, own, own]
    longer = cost_of(nn.Sequential(module, nn.Conv1d(3, 3, 5, 2, 2)), 3, 20, numbers)
    assert longer.flash_bytes - one.flash_bytes == own + numbers.code.code_of(trace(module, 3, 20).layers[0])
