"""Fine-tuning for int8: training that sees the rounding of a quantized network."""

from collections.abc import Iterable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call

from nas_lightning.graph.layers import PRODUCTS
from nas_lightning.graph.trace import LayerGraph, trace
from nas_lightning.tasks import Task

_SHRINK = 0.01
"""How much of the way to the range of a training batch a wider range goes, per batch."""

FORMS = {
    **dict.fromkeys(PRODUCTS, "product"),
    **dict.fromkeys(("affine", "relu", "avg_pool", "segment_mean", "concat", "global_avg_pool", "add"), "value"),
    **dict.fromkeys(("max_pool", "segment_max", "flatten"), "copy"),
}
"""By kind what int8 rounds: the ``value`` that is made; of a ``product`` its constants too; nothing of a ``copy``."""


def finetune_int8(
    network: nn.Module, task: Task, loader: Iterable[tuple[Tensor, Tensor]], epochs: int, learning_rate: float
) -> nn.Module:
    """Train a folded copy of ``network`` by the loss of a task while it rounds as int8 does.

    Gradients pass the rounding as if it were not there (straight-through, Jacob et al. 2018, "Quantization and Training
    of Neural Networks for Efficient Integer-Arithmetic-Only Inference", arXiv 1712.05877, section 3). The optimizer is
    Adam, and its rate follows a cosine from ``learning_rate`` towards 0 over the epochs. Adam moves all weights by
    about the same amount, so equalise a network first whose channels differ much in range. The input normalisation is
    not trained.

    Args:
        network: maps ``[B, C, L]`` to outputs ``[B, K]``; ``fold`` can fold it.
        task: what the outputs are held against.
        loader: batches of samples ``[B, C, L]`` and labels ``[B]``; read once to observe ranges, then once an epoch.
        epochs: passes of training.
        learning_rate: of the first epoch.

    Returns:
        The folded network with the tuned weights as floats, in eval mode.

    Raises:
        FloatingPointError: if an activation, the loss or a weight is no longer finite.
        InputError: for a layer that is not known.
        NotImplementedError: if ``fold`` cannot fold the network.
    """
    model = fake_quantized(network, task.in_channels, task.length)
    folded = model.network
    observe(model, (x for x, _ in loader))
    layers = [module for module in folded.modules() if isinstance(module, (nn.Conv1d, nn.Linear))]
    # Folding makes biases that want no gradient.
    parameters = [parameter.requires_grad_() for layer in layers for parameter in layer.parameters()]
    optimizer = torch.optim.Adam(parameters, learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    model.train()
    for _ in range(epochs):
        _train_epoch(model, task, loader, optimizer)
        schedule.step()
    for parameter in parameters:
        _demand_finite(parameter, "a weight")  # no loss shows what the last step did
    return folded.eval()


def _train_epoch(
    model: nn.Module, task: Task, loader: Iterable[tuple[Tensor, Tensor]], optimizer: torch.optim.Optimizer
) -> None:
    own = next(model.parameters())
    for x, y in loader:
        loss = task.loss(model(x.to(own.device, own.dtype)), y.to(own.device))
        _demand_finite(loss, "the loss")
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()


def fake_quantized(network: nn.Module, in_channels: int, length: int) -> "FakeQuantized":
    """A folded copy of ``network`` that rounds weights and activations as int8 does, once ``observe`` has seen samples.

    It mimics ONNX Runtime's static quantization with integer operators: activations asymmetric with one scale a tensor
    and a range that includes 0, weights symmetric with one scale an output channel. Rounded are the normalised input
    and what convolutions (after their ReLU), average pools, concatenations and the linear layer make, and biases to the
    step of the products that they are added to.

    Args:
        network: maps ``[B, in_channels, length]`` to outputs ``[B, K]``.
        in_channels: of a sample.
        length: of a sample, in time steps.

    Raises:
        InputError: for a layer that is not known.
        NotImplementedError: if ``fold`` cannot fold the network.
    """
    return FakeQuantized(trace(network, in_channels, length))


@torch.no_grad()
def observe(model: nn.Module, batches: Iterable[Tensor]) -> None:
    """Set the ranges of a ``fake_quantized`` model to those of its float activations, and let it round from now on.

    Args:
        model: ends in eval mode, in which the ranges do not change.
        batches: samples ``[B, C, L]``.
    """
    own = next(model.parameters())
    model.eval()
    for module in model.modules():
        if isinstance(module, FakeQuant):
            module.low.zero_()
            module.high.zero_()
    _set_observing(model, True)
    for x in batches:
        model(x.to(own.device, own.dtype))
    _set_observing(model, False)


class FakeQuant(nn.Module):
    """Rounds a tensor to int8 values, asymmetric with one scale; gradients inside the range pass unchanged.

    While ``observing`` it widens its range and passes tensors unchanged. In training the range widens at once and
    shrinks slowly, as weights change: the later calibration takes the extremes of many samples, not of a batch.
    """

    low: Tensor
    high: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.observing = True
        self.register_buffer("low", torch.zeros(()))
        self.register_buffer("high", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Map any shape to the same shape."""
        if self.observing or self.training:
            self._update_range(x.detach())
        if self.observing:
            return x
        return torch.fake_quantize_per_tensor_affine(x, self.scale, self.zero_point, -128, 127)

    @property
    def scale(self) -> Tensor:
        """The step between two values, a scalar."""
        return _positive((self.high - self.low) / 255)

    @property
    def zero_point(self) -> Tensor:
        """The int8 value of 0, a scalar of int32."""
        return (-128 - self.low / self.scale).round().to(torch.int32)

    def _update_range(self, x: Tensor) -> None:
        low, high = x.amin().clamp(max=0).float(), x.amax().clamp(min=0).float()
        _demand_finite(high - low, "an activation")
        shrink = 0 if self.observing else _SHRINK
        self.low.copy_(torch.minimum(low, torch.lerp(self.low, low, shrink)))
        self.high.copy_(torch.maximum(high, torch.lerp(self.high, high, shrink)))


class FakeQuantLayer(nn.Module):
    """Runs a convolution or linear layer with its constants rounded; gradients pass unchanged.

    Weights are rounded to int8, symmetric with one scale an output channel, biases to int32 with the scale of the
    products.

    Args:
        layer: keeps its constants as floats, and gets their gradients.
        source: rounds what the layer reads.
    """

    def __init__(self, layer: nn.Conv1d | nn.Linear, source: FakeQuant) -> None:
        super().__init__()
        self.layer, self.source, self.observing = layer, source, True

    def forward(self, x: Tensor) -> Tensor:
        """What the layer makes of ``x``."""
        return self.layer(x) if self.observing else functional_call(self.layer, self._rounded(), (x,))

    def _rounded(self) -> dict[str, Tensor]:
        weight, bias = self.layer.weight, self.layer.bias
        scale = _positive(weight.detach().flatten(1).abs().amax(1).float() / 127)
        zero_point = torch.zeros_like(scale, dtype=torch.int32)
        rounded = {"weight": torch.fake_quantize_per_channel_affine(weight, scale, zero_point, 0, -127, 127)}
        if bias is not None:
            step = scale * self.source.scale
            rounded["bias"] = bias + ((bias / step).round() * step - bias).detach()
        return rounded


class FakeQuantized(nn.Module):
    """Runs a folded network with its values rounded; its layers stay those of the network.

    A value that only ReLUs read is part of them, and one that only the normalisation reads is a sample.

    Args:
        graph: of the network.
    """

    def __init__(self, graph: LayerGraph) -> None:
        super().__init__()
        self.graph, self.network = graph, graph.network
        self.quants, self.products = nn.ModuleDict(), nn.ModuleDict()  # by the numbers of values
        rounds: dict[int, FakeQuant] = {}
        for i in range(len(graph.layers) + 1):
            layer = graph.layers[i - 1] if i else None
            form = FORMS[layer.kind.name] if layer else "value"
            if layer and form == "product":
                self.products[str(i)] = FakeQuantLayer(cast(Any, layer.module), rounds[layer.inputs[0]])
            if layer and form == "copy":
                rounds[i] = rounds[layer.inputs[0]]
            elif any(kind not in ("relu", "affine") for kind in graph.reading_kinds(i)):
                self.quants[str(i)] = rounds[i] = FakeQuant()

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, C, L]`` to outputs ``[B, K]``."""
        return self.graph.run(x, self._make)

    def _make(self, i: int, *values: Tensor) -> Tensor:
        number = str(i)
        if i:
            made = self.products[number] if number in self.products else self.graph.layers[i - 1]
            values = (made(*values),)
        return self.quants[number](*values) if number in self.quants else values[0]


def _set_observing(model: nn.Module, observing: bool) -> None:
    for module in model.modules():
        if isinstance(module, (FakeQuant, FakeQuantLayer)):
            module.observing = observing


def _positive(scale: Tensor) -> Tensor:
    """A tensor of zeros has no scale of its own, and any will do."""
    return torch.where(scale > torch.finfo(torch.float32).tiny, scale, 1.0)


def _demand_finite(value: Tensor, name: str) -> None:
    if not torch.isfinite(value).all():
        raise FloatingPointError(f"fine-tuning for int8: {name} is not finite; lower `learning_rate`")
