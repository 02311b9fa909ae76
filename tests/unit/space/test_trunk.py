"""Trunks as descriptions, and the standard models of TI's toolchain that are such."""

import pytest
import yaml
from torch import nn

from nas_lightning.config.compose import conf_dir, options_of
from nas_lightning.cost.exact import cost_of
from nas_lightning.errors import InputError
from nas_lightning.space.blueprint import READERS
from nas_lightning.space.trunk import Block, TrunkBlueprint, listed_trunk
from nas_lightning.tasks import Classification

# Of the published layer lists for one channel and two classes: the weights of each convolution, None for a pool, and
# what the linear layer reads.
STANDARD = {
    "cls_100": ([8, 8 * 8 * 3], 8),
    "cls_500": ([8 * 5, 8 * 16 * 3], 16),
    "cls_1k": ([8 * 5, 8 * 8 * 5, None, 8 * 16 * 3], 16 * 4),
    "cls_2k": ([16 * 5, 16 * 16 * 3, None, 16 * 16 * 5, 16 * 32 * 5], 32 * 4),
    "cls_4k": ([8 * 5, 8 * 8 * 3, None, 8 * 16 * 5, 16 * 32 * 5], 32 * 4),
    "cls_6k": ([16 * 3, None, 16 * 3, 16 * 32, None, 32 * 3, 32 * 48, 48 * 16 * 5], 16 * 4),
    "cls_8k": ([16 * 5, None, 16 * 5, 16 * 32, None, 32 * 5, 32 * 64, 64 * 32 * 3], 32 * 4),
    "cls_13k": ([8 * 5, 8 * 16 * 3, 16 * 16 * 3, 16 * 32 * 3, 32 * 32 * 3, 32 * 64 * 3], 64 * 4),
    "cls_20k": (
        [16 * 5, 16 * 32 * 3, None, 32 * 5, 32 * 64, 64 * 64 * 3, 64 * 128 * 3, 128 * 64 * 3], 64 * 4,
    ),
}  # fmt: skip
STRIDES = {
    **{"cls_100": 1, "cls_500": 1, "cls_1k": 2, "cls_2k": 8, "cls_4k": 16, "cls_6k": 16, "cls_8k": 8, "cls_13k": 16},
    "cls_20k": 16,
}


def standard(name):
    content = yaml.safe_load((conf_dir() / "model" / f"{name}.yaml").read_text())
    assert content.pop("_target_") == "nas_lightning.space.trunk.listed_trunk"
    return listed_trunk(task=Classification(1, 256, 2), **content)


def test_all_standard_models_are_there():
    assert sorted(STANDARD) == [name for name in options_of("model") if name.startswith("cls_")]


@pytest.mark.parametrize("name", STANDARD)
def test_a_standard_model_has_the_layers_of_the_toolchain(name):
    blueprint, (weights, features) = standard(name), STANDARD[name]
    layers = [
        next((layer for layer in part if isinstance(layer, nn.Conv1d)), None)
        if isinstance(part, nn.Sequential)
        else None
        for part in blueprint.build().blocks
    ]
    assert [None if layer is None else layer.weight.numel() for layer in layers] == weights
    assert blueprint.total_stride == STRIDES[name]
    biases = sum(layer.out_channels for layer in layers if layer is not None)
    head = 2 * features + 2
    assert cost_of(blueprint.build(), 1, 256).params == sum(filter(None, weights)) + biases + head + 3  # of the input


def test_what_a_hand_made_network_is_described_by_tells_its_kind():
    for content in (
        standard("cls_6k").to_dict(),
        {"widths": [4], "kernel_size": 3, "task": standard("cls_100").task.to_dict()},
    ):
        found = READERS["model.json"](content)
        assert isinstance(found, TrunkBlueprint) == ("blocks" in content)
        assert {**content, "schema_version": 1} == found.to_dict()


def test_a_summary_says_what_is_not_usual():
    blocks = [Block("full", 8, 5, 2), Block("separable", 6, 3, 1, 4), Block("pool", 6, 3, 2)]
    assert TrunkBlueprint(tuple(blocks), Classification(1, 9, 2), "maximum").summary() == [
        ("blocks", "full 8 x 5 /2, separable 6 x 3 dilated by 4, pool 6 x 3 /2"), ("readout", "maximum"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"blocks": []}, "`blocks`: found 0; allowed: 1 to 50"),
        ({"blocks": [["full", 4]]}, r"`blocks`: found \['full', 4\]; allowed: \[kind, channels, kernel_size, stride, "),
        (
            {"blocks": [["full", 9999, 9]] * 2},
            r"`blocks` make a network of 899,9\d\d,\d+ weights; allowed: up to 100,000,000",
        ),
        ({"blocks": [["full", 4, 3]], "readout": "median"}, "`readout`: found median; allowed: mean, means_2, "),
        ({"blocks": [["full", 4, 3]], "readout": "positive_mean"}, "found positive_mean; allowed: .*means_8, maximum$"),
        (
            {"blocks": [["full", 6, 3], ["depthwise", 4, 3]]},
            "`blocks`: found depthwise of 4 channels; allowed: 6, for it keeps them",
        ),
    ],
)
def test_what_cannot_be_is_refused(given, text):
    with pytest.raises(InputError, match=text):
        listed_trunk(task=Classification(1, 20, 2), **given)


@pytest.mark.parametrize("content", [{"blocks": [{"kind": "full"}], "readout": "mean"}, {"blocks": 3}, {"blocks": [3]}])
def test_a_damaged_description_is_an_error(content):
    with pytest.raises(InputError, match="model: cannot be made of this"):
        READERS["model.json"]({"task": {"in_channels": 1, "length": 9, "num_classes": 2}, **content})
