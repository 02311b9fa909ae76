"""C of a network: what is promised of the text, and that another form of what emx-onnx-cgen writes is refused."""

import math
import re
from functools import cache, partial

import pytest
from emx_onnx_cgen import Compiler
from small_firmware import every_op, hand_made, hard_to_place, random_small, with_twins

from nas_lightning.cost.code import signature_of
from nas_lightning.cost.exact import Numbers, cost_of
from nas_lightning.export.emx import compile_network
from nas_lightning.export.emx.form import FormError
from nas_lightning.export.int8 import integer_core
from nas_lightning.graph.trace import trace

NETWORKS = {"every operation": every_op, "hand-made": hand_made, "twins": with_twins} | {
    f"random {seed}": partial(random_small, seed) for seed in (2, 10)
}
over_networks = pytest.mark.parametrize("make", NETWORKS.values(), ids=NETWORKS)
both_forms = pytest.mark.parametrize("form", ["int8", "float"])


def compiled(made, form):
    return compile_network(integer_core(made.integer)[0] if form == "int8" else made.floats)


@cache
def compiled_once(make, form):
    return compiled(make(), form)


def cost(made, bits):
    return cost_of(made.network, made.task.in_channels, made.task.length, Numbers(bits, bits))


def rounded(size):
    return math.ceil(size / 8) * 8


@over_networks
@both_forms
def test_the_arena_has_the_size_that_the_cost_says(make, form):
    made, bits = make(), 8 if form == "int8" else 32
    assert rounded(compiled_once(make, form).arena_bytes) == cost(made, bits).ram_bytes


@pytest.mark.parametrize("cell", ["plain", "separable"])
@both_forms
def test_it_has_also_where_values_are_hard_to_place(cell, form):
    made = hard_to_place(cell)
    assert rounded(compiled(made, form).arena_bytes) == cost(made, 8 if form == "int8" else 32).ram_bytes


@over_networks
@both_forms
def test_the_arena_is_as_large_as_it_says_and_all_values_lie_in_it(make, form):
    found = compiled_once(make, form)
    (elements,) = map(int, re.findall(r"^static \w+ arena\[(\d+)\];$", found.text, re.M))
    assert elements * {"int8_t": 1, "float": 4}[found.dtype] == found.arena_bytes
    places = re.findall(r"^    \w+ \(\*const \w+\)(\S*) = \(\w+ \(\*\)\S*\)\(arena \+ (\d+)\);$", found.text, re.M)
    assert places
    ends = [int(offset) + math.prod(map(int, re.findall(r"\d+", dims))) for dims, offset in places]
    assert max(ends) == elements


@both_forms
def test_a_function_for_each_operator_and_one_for_all_of_equal_shapes(form):
    made, found = every_op(), compiled_once(every_op, form)
    defined = re.findall(r"^EMX_NODE_FN void (\w+)\(", found.text, re.M)
    called = re.findall(r"^    (\w+)\(.*\);$", found.text[found.text.index("static void network(") :], re.M)
    assert tuple(called) == found.functions
    assert len(defined) == len(set(defined))
    assert set(defined) == set(found.functions)
    assert len(defined) < len(called)
    nodes = (integer_core(made.integer)[0] if form == "int8" else made.floats).graph.node
    assert [name.rpartition("_")[0] for name in found.functions] == [node.op_type.lower() for node in nodes]


@over_networks
@both_forms
def test_layers_share_a_function_where_the_cost_counts_it_once(make, form):
    made = make()
    layers = trace(made.network, made.task.in_channels, made.task.length).layers
    counted = {signature_of(layer) for layer in layers if form == "float" or layer.kind.name not in ("relu", "affine")}
    functions = set(compiled_once(make, form).functions)
    more = 1 if form == "int8" else 2  # of int8 the dequantization; of floats Sub, Mul and Add are one layer
    assert len(functions) == len(counted) + more


@over_networks
@both_forms
def test_the_text_is_for_a_microcontroller(make, form):
    text = compiled_once(make, form).text
    for word in ("malloc", "calloc", "free", "fopen", "printf", "extern", "double", "roundf", "lrintf", r"math\.h"):
        assert re.search(rf"\b{word}\b", text) is None, word
    assert "#include" not in text
    tables = re.findall(r"^.*\] = \{$", text, re.M)
    assert tables
    assert all(line.startswith("static const EMX_UNUSED ") for line in tables)
    numbers = re.findall(r"(?<![\w.])\d+\.\d*(?:[eE][+-]?\d+)?\w*", text)
    assert all(number.endswith("f") for number in numbers), [n for n in numbers if not n.endswith("f")]
    outside = [line for line in text.splitlines() if re.match(r"[a-z]\w* ", line) and not line.startswith("static ")]
    assert outside == ["typedef int32_t idx_t;"]


def test_the_input_of_int8_lies_in_the_arena_and_that_of_floats_does_not():
    made = hand_made()
    int8, floats = compiled_once(hand_made, "int8"), compiled_once(hand_made, "float")
    assert (int8.dtype, floats.dtype) == ("int8_t", "float")
    assert floats.input_offset is None
    assert 0 <= int8.input_offset <= int8.arena_bytes - made.samples[0].numel()
    assert f"(int8_t (*)[2][12])(arena + {int8.input_offset})" in int8.text


def test_what_a_relu_reads_and_makes_lies_in_one_place():
    text = compiled_once(hand_made, "float").text
    places = dict(re.findall(r"\(\*const (\w+)\)\S* = .*\(arena \+ (\d+)\);", text))
    pairs = re.findall(r"^    (?:relu|sub|mul|add)_\d+\((\w+), (?:\w+, )?(\w+)\);$", text, re.M)
    pairs = [(read, made) for read, made in pairs if read in places]
    assert len(pairs) == 4  # two ReLUs, and the second and third step of the normalisation
    assert all(places[read] == places[made] for read, made in pairs)


def test_the_same_network_gives_the_same_text():
    assert compiled(hand_made(), "int8") == compiled(hand_made(), "int8")


@cache
def written(make, form):
    """What emx-onnx-cgen writes for a network."""
    texts = []
    real = Compiler.compile

    def compile_and_keep(self, model):
        texts.append(real(self, model))
        return texts[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Compiler, "compile", compile_and_keep)
        compiled(make(), form)
    return texts[0]


FORMS = {
    "no entry function": (
        "int8",
        lambda text: text.replace("void network(", "int network("),
        "emx-onnx-cgen: no function network in its output",
    ),
    "another line in the body": (
        "int8",
        lambda text: re.sub(r"^(    int8_t tmp0_.*)$", r"\1\n    int8_t *more = 0;", text, count=1, flags=re.M),
        r"emx-onnx-cgen: (\d+) lines hold \d+ values and \d+ calls of \d+ functions for \d+ operators",
    ),
    "a value on two lines": (
        "float",
        lambda text: re.sub(r"^    float (tmp0_.*)$", r"    float\n        \1", text, count=1, flags=re.M),
        r"emx-onnx-cgen: \d+ lines hold \d+ values",
    ),
    "a static value": (
        "float",
        lambda text: re.sub(r"^    float (tmp0_.*)$", r"    static float \1", text, count=1, flags=re.M),
        r"emx-onnx-cgen: \d+ lines hold \d+ values",
    ),
    "an int8 network with a value of int16_t": (
        "int8",
        lambda text: re.sub(r"^    int8_t (tmp0_.*)$", r"    int16_t \1", text, count=1, flags=re.M),
        "emx-onnx-cgen: an input of int8_t and values of int16_t, int8_t",
    ),
    "a float network of doubles": (
        "float",
        lambda text: text.replace("float", "double"),
        "emx-onnx-cgen: an input of double and values of double",
    ),
    "an unknown helper": (
        "float",
        lambda text: text.replace("ref_scalar_f32_relu", "ref_scalar_f32_elu"),
        r"emx-onnx-cgen: unknown functions among .*ref_scalar_f32_elu",
    ),
    "another rounding": (
        "int8",
        lambda text: text.replace("ref_scalar_f64_nearbyint", "ref_scalar_f64_round"),
        r"emx-onnx-cgen: 'float scaled = (.|\n)* stands 0 times in node\d+",
    ),
    "another order of products": (
        "int8",
        lambda text: text.replace("((float)weight_scale[oc_global]) /", "((float)weight_scale[oc_global]) *"),
        r"emx-onnx-cgen: 'const float scale = .* stands 0 times in node\d+",
    ),
    "other averages": (
        "int8",
        lambda text: text.replace("roundf(mean * scale)", "rintf(mean * scale)"),
        r"emx-onnx-cgen: 'const idx_t denom (.|\n)* stands 0 times in node\d+",
    ),
    "two sums in an average": (
        "int8",
        lambda text: text.replace("idx_t count = 0;", "idx_t count = 0; idx_t count = 0;"),
        r"emx-onnx-cgen: 'idx_t count = 0;' stands 2 times in node\d+",
    ),
    "another concatenation": (
        "int8",
        lambda text: text.replace("real_val / y_scale_val", "real_val * y_scale_val"),
        r"emx-onnx-cgen: 'float real_val = (.|\n)* stands 0 times in node\d+",
    ),
    "fewer functions": (
        "float",
        lambda text: text.replace(" * OpType: Relu\n", " * Operator: Relu\n"),
        r"emx-onnx-cgen: \d+ lines hold \d+ values and \d+ calls of \d+ functions for \d+ operators",
    ),
    "a call less": (
        "float",
        lambda text: re.sub(r"^    node1_\w+\(.*\);\n", "", text, flags=re.M),
        r"emx-onnx-cgen: \d+ lines hold \d+ values and \d+ calls of \d+ functions for \d+ operators",
    ),
}


@pytest.mark.parametrize("case", FORMS.values(), ids=FORMS)
def test_another_form_is_refused(case, monkeypatch):
    form, change, message = case
    make = hand_made if form == "float" else every_op
    text = written(make, form)
    assert change(text) != text
    monkeypatch.setattr(Compiler, "compile", lambda self, model: change(text))
    with pytest.raises(FormError, match=message):
        compiled(make(), form)
