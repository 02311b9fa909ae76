"""What lies in memory when, and what takes the place of what."""

import pytest
import torch
from torch import nn

from nas_lightning.graph.liveness import Buffer, Step, buffers_of, peak_elements
from nas_lightning.graph.trace import trace

SIZES = {"a": 4, "b": 4, "c": 4}


def test_a_value_takes_the_place_of_one_that_nobody_reads_later():
    steps = [Step("a", "b", in_place=True), Step("b", "c")]
    assert buffers_of(SIZES, steps) == ({"a": Buffer(4, 0, 1), "c": Buffer(4, 1, 1)}, {"a": "a", "b": "a", "c": "c"})


@pytest.mark.parametrize("steps", [[Step("a", "b"), Step("b", "c")], [Step("a", "b", in_place=True), Step("ab", "c")]])
def test_a_value_has_its_own_place_else(steps):
    buffers, owners = buffers_of(SIZES, steps)
    assert owners == {name: name for name in SIZES}
    assert buffers.keys() == SIZES.keys()


def test_a_value_that_lies_elsewhere_is_neither_counted_nor_written_over():
    buffers, owners = buffers_of({"b": 4}, [Step("a", "b", in_place=True)])
    assert (buffers, owners) == ({"b": Buffer(4, 0, 0)}, {"b": "b"})


def test_a_relu_whose_input_is_read_before_it_works_in_place():
    """Sample 20 and a convolution 20, then 20 and 20, then 20 of the ReLU in place: no more than three lie there."""

    class Branches(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.pool, self.relu = nn.Conv1d(2, 2, 1), nn.MaxPool1d(3, 1, 1), nn.ReLU()

        def forward(self, x):
            x = self.conv(x)
            return torch.cat([self.pool(x), self.relu(x)], dim=1)

    assert peak_elements(trace(Branches(), 2, 10)) == 20 + 20 + 40
