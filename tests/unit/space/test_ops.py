from nas_lightning.space.ops import DEFAULT_OPS, OPS


def test_the_default_operations_are_those_of_the_guide():
    assert DEFAULT_OPS == (
        "none",
        "avg_pool_3x1",
        "max_pool_3x1",
        "skip_connect",
        "conv_bn_relu_3x1",
        "conv_bn_relu_5x1",
        "conv_bn_relu_7x1",
    )


def test_skip_is_the_identity_only_at_stride_1():
    assert not list(OPS["skip_connect"](4, 1, True).parameters())
    assert sum(p.numel() for p in OPS["skip_connect"](4, 2, True).parameters()) == 4 * 4 + 2 * 4


def test_sep_conv_has_a_depthwise_and_a_pointwise_convolution():
    assert sum(p.numel() for p in OPS["sep_conv_5x1"](4, 1, False).parameters()) == 4 * 5 + 4 * 4
