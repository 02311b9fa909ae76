"""The second-order step against finite differences of the two-level loss, in float64."""

import pytest
import torch
from alpha_steps import Given, alpha_loss
from torch import nn

from nas_lightning.kernels.build import why_not_native
from nas_lightning.search.arch_step import FirstOrder, Unrolled
from nas_lightning.space.cells.size import Size
from nas_lightning.space.cells.space import CellSpace
from nas_lightning.space.cells.supernet import Supernet
from nas_lightning.tasks import Classification


def relax(alphas):
    return {kind: alpha.softmax(-1) for kind, alpha in alphas.items()}


def penalty(op_weights, objective=None):
    return 0.3 * sum((w**2).sum() for w in op_weights.values())


@pytest.fixture(params=["torch", "native"])
def problem(request):
    """A small supernet with a non-zero momentum buffer, and one batch for each level."""
    if request.param == "native" and why_not_native() is not None:
        pytest.skip(str(why_not_native()))
    torch.manual_seed(0)
    supernet = Supernet(Size(3, 2, 2, 2, 2), Classification(2, 16, 3), kernels=request.param).double()
    batches = [(torch.randn(6, 2, 16, dtype=torch.float64), torch.arange(6) % 3) for _ in range(2)]
    sgd = torch.optim.SGD(supernet.weights().values(), lr=0.05, momentum=0.9, weight_decay=1e-2)
    for _ in range(2):
        sgd.zero_grad()
        nn.functional.cross_entropy(supernet(batches[0][0], relax(supernet.alphas)), batches[0][1]).backward()
        sgd.step()
    return supernet, *batches, sgd


def loss_of(problem, step=None):
    """The loss of the alphas that a step differentiates."""
    supernet, train, val, sgd = problem
    given = Given(relax(supernet.alphas), relax)
    space = CellSpace(supernet.size, supernet.task, supernet.op_names)
    at = alpha_loss(supernet, given, space, [penalty], sgd=sgd)
    return (step or Unrolled())(at, train, val)[0]


def two_level_loss(problem):
    """An independent reading of DARTS, equation 3: a real SGD step on a copy, then the loss on ``val``."""
    import copy

    supernet, (x, y), (x_val, y_val), sgd = problem
    clone = copy.deepcopy(supernet)
    step = torch.optim.SGD(clone.weights().values(), lr=0.05, momentum=0.9, weight_decay=1e-2)
    for old, new in zip(supernet.weights().values(), clone.weights().values(), strict=True):
        step.state[new]["momentum_buffer"] = sgd.state[old]["momentum_buffer"].clone()
    nn.functional.cross_entropy(clone(x, relax(clone.alphas)), y).backward()
    step.step()
    with torch.no_grad():
        op_weights = relax(clone.alphas)
        return float(nn.functional.cross_entropy(clone(x_val, op_weights), y_val) + penalty(op_weights))


def test_the_unrolled_loss_is_the_two_level_loss(problem):
    assert float(loss_of(problem).detach()) == pytest.approx(two_level_loss(problem), rel=1e-12)


def test_the_unrolled_gradient_agrees_with_finite_differences(problem):
    alphas = list(problem[0].alphas.values())
    exact = torch.autograd.grad(loss_of(problem), alphas)
    epsilon = 1e-5
    for alpha, gradient in zip(alphas, exact, strict=True):
        numeric = torch.zeros_like(gradient)
        for index in range(alpha.numel()):
            flat = alpha.data.view(-1)
            flat[index] += epsilon
            above = two_level_loss(problem)
            flat[index] -= 2 * epsilon
            numeric.view(-1)[index] = (above - two_level_loss(problem)) / (2 * epsilon)
            flat[index] += epsilon
        assert float((numeric - gradient).norm() / gradient.norm()) < 1e-5


def test_the_unrolled_gradient_is_not_the_first_order_one(problem):
    alphas = list(problem[0].alphas.values())
    second = torch.autograd.grad(loss_of(problem), alphas)
    first = torch.autograd.grad(loss_of(problem, FirstOrder()), alphas)
    assert float((second[0] - first[0]).norm() / first[0].norm()) > 1e-2


def test_the_unrolled_step_leaves_buffers_and_weights_as_they_are(problem):
    supernet = problem[0]
    before = {name: tensor.clone() for name, tensor in supernet.state_dict().items()}
    torch.autograd.grad(loss_of(problem), list(supernet.alphas.values()))
    assert all(torch.equal(before[name], tensor) for name, tensor in supernet.state_dict().items())
    assert int(before["stem.norm.bn.num_batches_tracked"]) == 2
