import pytest
from torch import nn

from nas_lightning.cost.npu import PROFILES, npu_report
from nas_lightning.space.cells.genotype import Genotype
from nas_lightning.space.cells.network import Network
from nas_lightning.space.cells.npu import accelerated_ops, round_channels
from nas_lightning.space.cells.size import Size
from nas_lightning.space.ops import OPS
from nas_lightning.tasks import Classification

STRICT, RELAXED = PROFILES["strict"], PROFILES["relaxed"]


CHANNELS = "{} channels; allowed: a multiple of 4"


def verdict(layer, profile, channels=4, length=16):
    return npu_report(nn.Sequential(layer), channels, length, profile)[0].reason


@pytest.mark.parametrize(
    ("layer", "channels", "strict", "relaxed"),
    [
        (nn.Conv1d(1, 4, 3), 1, "meets the rules", "meets the rules"),
        (nn.Conv1d(4, 8, 7), 4, "meets the rules", "meets the rules"),
        (nn.Conv1d(4, 8, 9), 4, "9 taps; allowed: up to 7", "meets the rules"),
        (nn.Conv1d(3, 4, 3), 3, CHANNELS.format(3) + " (or 1 in the first convolution)", "meets the rules"),
        (nn.Conv1d(4, 6, 3), 4, *["6 output channels; allowed: a multiple of 4"] * 2),
        (nn.Conv1d(4, 4, 3, stride=3), 4, *["stride 3; allowed: 1 or 2"] * 2),
        (nn.Conv1d(4, 4, 3, groups=4, dilation=2), 4, *["dilation 2; allowed: 1"] * 2),
        (nn.MaxPool1d(5), 4, *["a maximum pool of 5; allowed: up to 4"] * 2),
        (nn.AvgPool1d(3), 6, *[CHANNELS.format(6)] * 2),
    ],
)  # fmt: skip
def test_each_rule(layer, channels, strict, relaxed):
    assert verdict(layer, STRICT, channels) == strict
    assert verdict(layer, RELAXED, channels) == relaxed


class _Head(nn.Module):
    def __init__(self, features):
        super().__init__()
        self.linear = nn.Linear(features, 2)

    def forward(self, x):
        return self.linear(x.mean(2))


@pytest.mark.parametrize(
    ("features", "length", "profile", "reasons"),
    [
        (16, 3, STRICT, ["meets the rules"] * 2),
        (16, 2, STRICT, ["a global average of 2 steps; allowed: more than 2", "meets the rules"]),
        (8, 3, RELAXED, ["meets the rules", "8 inputs of the linear layer; allowed: 16 or more"]),
        (18, 3, STRICT, [CHANNELS.format(18), "18 inputs of the linear layer; allowed: a multiple of 4"]),
    ],
)  # fmt: skip
def test_the_rules_of_the_head(features, length, profile, reasons):
    assert [row.reason for row in npu_report(_Head(features), features, length, profile)] == reasons


def test_dilated_convolutions_are_pruned_and_all_others_kept():
    kept = accelerated_ops(tuple(OPS), STRICT)
    assert set(OPS) - set(kept) == {"dil_conv_3x1", "dil_conv_5x1"}


def test_rounded_channels_leave_only_copies_and_the_input_norm_to_the_cpu():
    size = round_channels(Size(4, 3, 1, 3, 2))
    assert (size.init_channels, size.stem_channels) == (4, 12)
    assert round_channels(Size(4, 3, 8, 3, 2)).init_channels == 8
    cell = tuple((op, 0) for op in ("conv_bn_relu_7x1", "avg_pool_3x1", "skip_connect"))
    report = npu_report(Network(Genotype(cell, cell), size, Classification(1, 64, 3)), 1, 64, STRICT)
    rest = {row.kind for row in report if not row.accelerated}
    assert rest == {"ChannelAffine", "Concat"}


def test_a_preset_with_one_channel_is_not_accelerated_as_it_is():
    cell = (("conv_bn_relu_3x1", 0),)
    report = npu_report(Network(Genotype(cell, cell), Size(3, 1, 1, 3, 1), Classification(1, 64, 3)), 1, 64, STRICT)
    accelerated = [row.accelerated for row in report if row.kind == "Conv1d"]
    assert accelerated == [False] * 6 + [True]  # only the last convolution has 4 channels on both sides
