"""The gradient of the alphas: first-order, and exact second-order."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.optim import Optimizer

from nas_lightning.space.supernet import Supernet

Batch = tuple[Tensor, Tensor]
Relax = Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]]
PenaltyTerm = Callable[[Mapping[str, Tensor]], Tensor]


def first_order_loss(supernet: Supernet, batch: Batch, relax: Relax, penalty: PenaltyTerm) -> tuple[Tensor, Tensor]:
    """The loss of the alphas at the present weights (DARTS, section 2.3 with xi = 0), and the logits ``[B, K]``."""
    x, y = batch
    op_weights = relax(dict(supernet.alphas.items()))
    logits = supernet(x, op_weights)
    return nn.functional.cross_entropy(logits, y) + penalty(op_weights), logits


def unrolled_loss(
    supernet: Supernet, train_batch: Batch, val_batch: Batch, relax: Relax, penalty: PenaltyTerm, sgd: Optimizer
) -> tuple[Tensor, Tensor]:
    """The loss of the alphas after one virtual SGD step of the weights (DARTS, equations 5 and 6), and the logits.

    The gradient of the returned loss with respect to the alphas is exact: it differentiates through the step
    ``w' = w - lr (momentum * buffer + dL_train/dw + weight_decay * w)`` with the optimizer's own numbers, where the
    original code takes a finite difference of the Hessian. Clipping is left out of the virtual step. The forward passes
    run on copies of the buffers, so that the BatchNorm statistics stay as they are.
    """
    weights = supernet.weights()
    buffers = {name: buffer.clone() for name, buffer in supernet.named_buffers()}
    op_weights = relax(dict(supernet.alphas.items()))

    def logits_of(parameters: Mapping[str, Tensor], x: Tensor) -> Tensor:
        return functional_call(supernet, {**parameters, **buffers}, (x, op_weights))

    x, y = train_batch
    train_loss = nn.functional.cross_entropy(logits_of(weights, x), y)
    gradients = torch.autograd.grad(train_loss, list(weights.values()), create_graph=True)
    stepped = {
        name: weight - _sgd_step(sgd, weight, gradient)
        for (name, weight), gradient in zip(weights.items(), gradients, strict=True)
    }
    x, y = val_batch
    logits = logits_of(stepped, x)
    return nn.functional.cross_entropy(logits, y) + penalty(op_weights), logits


def _sgd_step(sgd: Optimizer, weight: nn.Parameter, gradient: Tensor) -> Tensor:
    group = sgd.param_groups[0]
    step = gradient + group["weight_decay"] * weight
    buffer = sgd.state.get(weight, {}).get("momentum_buffer")
    return group["lr"] * (step if buffer is None else group["momentum"] * buffer + step)
