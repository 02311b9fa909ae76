import math

import pytest
import torch

from nas_lightning.space.ops import OPS


@pytest.mark.parametrize("length", [15, 16])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("name", OPS)
def test_length_out_is_ceil_of_length_over_stride(name, stride, length):
    op = OPS[name](4, stride, False)
    assert op(torch.randn(2, 4, length)).shape == (2, 4, math.ceil(length / stride))
