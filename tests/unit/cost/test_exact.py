import pytest
import torch
from torch import nn

from nas_lightning.cost.exact import Numbers, cost_of
from nas_lightning.errors import InputError
from nas_lightning.space.ops import conv_bn_relu
from nas_lightning.space.stem import Stem


def test_a_convolution_counted_by_hand():
    """2 -> 4 channels, kernel 3, stride 2, 10 -> 5 steps: 4*2*3 weights + 4 biases; 4*2*3*5 MACs; 20 + 20 bytes."""
    cost = cost_of(conv_bn_relu(2, 4, 3, 2, True), in_channels=2, length=10)
    assert (cost.params, cost.macs) == (24 + 4, 120)
    assert cost.ram_bytes == 20 + 20
    assert [(row.kind, row.macs) for row in cost.layers] == [("Conv1d", 120), ("ReLU", 0)]


@pytest.mark.parametrize(("bits", "weights_and_scales"), [(8, 24 + 5 * 4 + 5), (16, 48 + 5 * 4 + 5), (32, 96)])
def test_flash_counted_by_hand(bits, weights_and_scales):
    """24 weights, 4 biases of 4 bytes, 5 bytes of scale and zero point for each of 4 channels of integers and for the
    output, code of one layer and of all."""
    numbers = Numbers(weight_bits=bits, code_bytes=1000, code_bytes_per_layer=100)
    cost = cost_of(conv_bn_relu(2, 4, 3, 2, True), 2, 10, numbers)
    assert cost.flash_bytes == weights_and_scales + 4 * 4 + 100 + 1000
    assert [row.flash_bytes for row in cost.layers] == [cost.flash_bytes - 1000, 0]
    assert cost_of(nn.MaxPool1d(3), 2, 10, numbers).flash_bytes == 1100 + (5 if bits < 32 else 0)


def test_layers_of_equal_shapes_share_their_function():
    numbers = Numbers(code_bytes=1000, code_bytes_per_layer=100)
    one, two = (cost_of(nn.Sequential(*[nn.MaxPool1d(3, 1, 1)] * n), 2, 10, numbers).flash_bytes for n in (1, 2))
    assert two - one == 5
    other = cost_of(nn.Sequential(nn.MaxPool1d(3, 1, 1), nn.MaxPool1d(3, 2, 1)), 2, 10, numbers).flash_bytes
    assert other - one == 100 + 5


def test_a_pool_taken_twice_of_one_value_is_computed_once():
    class Twins(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c = nn.MaxPool1d(3, 1, 1), nn.MaxPool1d(3, 1, 1), nn.AvgPool1d(3, 1, 1)

        def forward(self, x):
            return torch.cat([self.a(x), self.b(x), self.c(x)], 1)

    cost = cost_of(Twins(), 2, 12)
    assert [row.kind for row in cost.layers] == ["MaxPool1d", "AvgPool1d", "Concat"]
    assert cost.ram_bytes == 24 + 24 + 72  # of the concatenation


def test_the_normalised_sample_lies_with_the_caller():
    cost = cost_of(Stem(2, 4, True), 2, 16)
    assert cost.ram_bytes == 2 * 16 + 4 * 16


def test_groups_divide_the_macs():
    assert cost_of(nn.Conv1d(4, 4, 3, padding=1, groups=4, bias=False), 4, 10).macs == 4 * 3 * 10


def test_peak_ram_counts_what_is_alive_at_once():
    """A branch that is read later stays alive: input 20, a 20, b 20, concat 40."""

    class Branches(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.MaxPool1d(3, 1, 1), nn.AvgPool1d(3, 1, 1)

        def forward(self, x):
            return torch.cat([self.a(x), self.b(x)], 1)

    assert cost_of(Branches(), 2, 10).ram_bytes == 20 + 20 + 40


@pytest.mark.parametrize(
    ("network", "name"), [(nn.Sequential(nn.GELU()), "GELU"), (nn.Sequential(nn.Softplus()), "Softplus")]
)
def test_an_unknown_layer_is_an_error(network, name):
    with pytest.raises(InputError, match=rf"network: found the layer {name} \(0\); allowed: ChannelAffine, Conv1d, "):
        cost_of(network, 2, 10)


def test_an_unknown_function_is_an_error():
    class Sine(nn.Module):
        def forward(self, x):
            return torch.sin(x)

    with pytest.raises(InputError, match=r"network: found the layer .*sin.*; allowed: "):
        cost_of(Sine(), 2, 10)
