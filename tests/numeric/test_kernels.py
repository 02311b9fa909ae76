"""The heavy operations in float64: plain PyTorch against its own layers, compiled kernels against plain PyTorch."""

import pytest
import torch
from torch.nn import functional as F

from nas_lightning.kernels import native_ops, torch_ops
from nas_lightning.kernels.build import why_not_native

needs_native = pytest.mark.skipif(why_not_native() is not None, reason=str(why_not_native()))
# B, C_in, C, L, E, windows of taps, K, pools, acc
SHAPES = [
    (5, 1, 1, 24, 4, [(2, 4), (1, 5), (0, 6)], 7, True, True),
    (7, 4, 4, 33, 3, [(2, 4), (1, 5), (0, 6)], 7, True, False),
    (3, 6, 3, 17, 2, [(0, 8), (1, 4), (4, 4), (2, 6)], 9, False, True),
    (1, 2, 2, 2, 1, [(0, 4)], 5, True, True),
    (300, 1, 1, 3, 2, [(2, 4), (0, 6)], 7, True, False),
    (2, 3, 3, 1, 2, [(2, 4), (0, 6)], 7, True, False),
    (4, 12, 4, 65, 1, [(0, 0)], 1, False, False),
    (9, 16, 16, 64, 4, [(2, 4), (1, 5), (0, 6)], 7, True, True),
    (2, 5, 5, 900, 6, [(0, 6)], 7, True, True),
    (4, 3, 3, 11, 3, [], 1, True, True),
]


def make_inputs(shape):
    batch, inputs, channels, length, num_edges, windows, taps, pools, acc = shape
    generator = torch.Generator().manual_seed(0)

    def draw(*size):
        return torch.randn(*size, dtype=torch.float64, generator=generator, requires_grad=True)

    used = torch.zeros(len(windows), 1, 1, taps, dtype=torch.float64)
    for op, (lo, hi) in enumerate(windows):
        used[op, ..., lo : hi + 1] = 1
    kernels = (draw(num_edges, len(windows), channels, inputs, taps) * used).detach().requires_grad_()
    previous = [draw(batch, channels, length) for _ in range(num_edges)] if acc else None
    pool_mix = draw(num_edges, 3) if pools else None
    bias, mix = draw(num_edges, len(windows), channels), draw(num_edges, len(windows))
    return (draw(batch, inputs, length), previous, kernels, bias, mix, pool_mix, windows), used


def leaves(inputs):
    x, previous, kernels, bias, mix, pool_mix, _ = inputs
    found = [x, kernels, bias, mix] + ([pool_mix] if pool_mix is not None else []) + (previous or [])
    return [tensor for tensor in found if tensor.numel()]


def cotangents(tensors, seed):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(t.shape, dtype=torch.float64, generator=generator) for t in tensors]


def first_and_second(function, inputs, used):
    """Values, gradients, and gradients of a random combination of the gradients."""
    variables = leaves(inputs)
    y = list(function(*inputs))
    grad_y = [g.requires_grad_() for g in cotangents(y, 1)]
    grads = torch.autograd.grad(y, variables, grad_y, create_graph=True)
    kernels = [i for i, v in enumerate(variables) if v is inputs[2]]
    # A tap outside its window is no parameter: native kernels do not compute its gradient.
    grads = [g * used if i in kernels else g for i, g in enumerate(grads)]
    combined = sum((g * c).sum() for g, c in zip(grads, cotangents(grads, 2), strict=True))
    second = torch.autograd.grad(combined, [*variables, *grad_y], allow_unused=True)
    second = [g * used if i in kernels and g is not None else g for i, g in enumerate(second)]
    return [*y, *grads, *second]


@needs_native
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_native_mixture_equals_torch_up_to_second_derivatives(shape):
    inputs, used = make_inputs(shape)
    expected, found = (first_and_second(ops.mixture, inputs, used) for ops in (torch_ops, native_ops))
    for a, b in zip(expected, found, strict=True):
        if a is None:
            assert b is None or not b.any()
        else:
            torch.testing.assert_close(b, a, rtol=1e-11, atol=1e-11 * float(a.abs().max().detach().clamp(min=1)))


@pytest.mark.parametrize("ops", [torch_ops, pytest.param(native_ops, marks=needs_native)])
@pytest.mark.parametrize("shape", SHAPES[:4], ids=str)
def test_mixture_is_convolution_relu_and_pools(ops, shape):
    """Against PyTorch's own layers, one by one."""
    inputs, _ = make_inputs(shape)
    x, previous, kernels, bias, mix, pool_mix, windows = inputs
    for e, found in enumerate(ops.mixture(*inputs)):
        expected = previous[e] if previous else torch.zeros(())
        for o in range(len(windows)):
            expected = expected + mix[e, o] * F.conv1d(x, kernels[e, o], bias[e, o], padding="same").relu()
        if pool_mix is not None:
            pools = (x, F.avg_pool1d(x, 3, 1, 1, count_include_pad=False), F.max_pool1d(x, 3, 1, 1))
            expected = expected + sum(weight * pool for weight, pool in zip(pool_mix[e], pools, strict=True))
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_the_maximum_picks_the_first_of_equals():
    """As PyTorch does: the gradient of equal neighbours goes to one of them."""
    if why_not_native() is not None:
        pytest.skip(str(why_not_native()))
    x = torch.tensor([[[1.0, 1, 1, 0, 2, 2, 0]]], dtype=torch.float64, requires_grad=True)
    empty = (torch.zeros(1, 0, 1, 1, 1), torch.zeros(1, 0, 1), torch.zeros(1, 0))
    empty = tuple(tensor.double() for tensor in empty)
    mix = torch.tensor([[0.0, 0, 1]], dtype=torch.float64)
    weights = torch.arange(1.0, 8, dtype=torch.float64)
    found, expected = (
        torch.autograd.grad((ops.mixture(x, None, *empty, mix, [])[0] * weights).sum(), x)[0]
        for ops in (native_ops, torch_ops)
    )
    assert torch.equal(found, expected)


@pytest.mark.parametrize("ops", [torch_ops, pytest.param(native_ops, marks=needs_native)])
@pytest.mark.parametrize(
    ("batch", "channels", "length", "taps"),
    [
        (5, 1, 24, 7),
        (7, 4, 33, 7),
        (3, 2, 2, 5),
        (300, 1, 3, 7),
        (4, 3, 1, 7),
        (4, 12, 65, 1),
        (3, 5, 4, 9),
        (9, 16, 64, 7),
    ],
)
def test_folding_is_batch_norm(ops, batch, channels, length, taps):
    """The folded convolution equals convolution and ``F.batch_norm``, with its first and second derivatives."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(batch, channels, length, dtype=torch.float64, generator=generator, requires_grad=True)
    kernels = torch.randn(2, 3, 2, channels, taps, dtype=torch.float64, generator=generator, requires_grad=True)
    mean, var = torch.zeros(12, dtype=torch.float64), torch.ones(12, dtype=torch.float64)
    raw = F.conv1d(x, kernels.flatten(0, 2), padding=taps // 2)
    expected = F.batch_norm(raw, mean, var, training=True, momentum=1, eps=1e-5)
    folded, bias, found_mean, found_variance = ops.fold_batch_norm(x, kernels, 1e-5)
    found = F.conv1d(x, folded.flatten(0, 2), bias.flatten(), padding=taps // 2)
    count = batch * length
    torch.testing.assert_close(found_mean.flatten(), mean, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(found_variance.flatten() * count / (count - 1), var, rtol=1e-9, atol=1e-9)
    results = []
    for y in (expected, found):
        (weights,) = cotangents([y], 3)
        plain = torch.autograd.grad(y, [x, kernels], weights, retain_graph=True)
        grads = torch.autograd.grad(y, [x, kernels], weights, create_graph=True)
        combined = sum((g * c).sum() for g, c in zip(grads, cotangents(grads, 4), strict=True))
        results.append([y, *plain, *grads, *torch.autograd.grad(combined, [x, kernels])])
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(b, a, rtol=1e-8, atol=1e-8 * float(a.abs().max().detach().clamp(min=1)))


@needs_native
def test_tensors_that_are_not_contiguous_keep_their_second_derivatives():
    inputs, _ = make_inputs(SHAPES[8])
    x, previous, kernels, *rest = inputs
    wide = torch.randn(*x.shape[:2], 2 * x.shape[2], dtype=torch.float64, requires_grad=True)
    turned = kernels.detach().mT.contiguous().requires_grad_()

    def second(ops):
        folded, bias, _, _ = ops.fold_batch_norm(wide[:, :, ::2], turned.mT, 1e-5)
        y = ops.mixture(wide[:, :, ::2], previous, folded, bias, *rest[1:])
        grads = torch.autograd.grad(sum(part.square().sum() for part in y), [wide, turned], create_graph=True)
        return torch.autograd.grad(sum(g.square().sum() for g in grads), [wide, turned])

    for a, b in zip(second(torch_ops), second(native_ops), strict=True):
        torch.testing.assert_close(b, a, rtol=1e-9, atol=1e-9 * float(a.abs().max()))


@needs_native
@pytest.mark.parametrize("wrong", ["x", "acc", "bias", "mix", "pool_mix", "windows"])
def test_shapes_that_do_not_fit_are_refused(wrong):
    (x, acc, kernels, bias, mix, pool_mix, windows), _ = make_inputs(SHAPES[0])
    given = {"x": x, "acc": acc, "kernels": kernels, "bias": bias, "mix": mix, "pool_mix": pool_mix, "windows": windows}
    if wrong == "acc":
        given["acc"] = [a[:, :, 1:] for a in acc]
    elif wrong == "windows":
        given["windows"] = [(0, 7), *windows[1:]]
    else:
        given[wrong] = given[wrong][:, 1:] if wrong != "x" else x.expand(-1, 2, -1)
    with pytest.raises(ValueError, match="do not fit each other"):
        native_ops.mixture(**given)


@needs_native
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_one_number_of_threads_gives_one_result(threads):
    """Bit for bit; another number of threads adds up in another order and may differ in the last bits."""
    inputs, used = make_inputs(SHAPES[7])
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        first, again = (first_and_second(native_ops.mixture, inputs, used) for _ in range(2))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True) if a is not None)


@needs_native
def test_autocast_leaves_the_native_kernels_in_float32():
    x = torch.randn(4, 2, 16, requires_grad=True)
    kernels = torch.randn(2, 1, 2, 2, 3)
    mix = torch.ones(2, 1)
    results = []
    for enabled in (False, True):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            folded, bias, _, _ = native_ops.fold_batch_norm(x, kernels, 1e-5)
            y = native_ops.mixture(x, None, folded, bias, mix, None, [(0, 2)])
            results.append([*y, *torch.autograd.grad(y[0].sum() + y[1].square().sum(), x)])
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_statistics_are_float32_where_the_network_is_half():
    x, kernels = torch.randn(8, 2, 16, dtype=torch.bfloat16) + 8, torch.randn(1, 1, 2, 2, 3, dtype=torch.bfloat16)
    folded, bias, mean, variance = torch_ops.fold_batch_norm(x, kernels, 1e-5)
    assert (folded.dtype, bias.dtype) == (torch.bfloat16, torch.bfloat16)
    raw = F.conv1d(x.float(), kernels[0, 0].float(), padding=1)
    torch.testing.assert_close(mean.flatten(), raw.mean((0, 2)), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(variance.flatten(), raw.var((0, 2), correction=0), rtol=1e-3, atol=1e-3)
