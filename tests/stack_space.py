"""A second search space: a stack of convolutions, whose widths are chosen. All that a space has to say of itself."""

import itertools
from dataclasses import asdict, dataclass
from typing import ClassVar

import torch
from torch import nn

from nas_lightning.cost.exact import ADDITIVE, MEASURES, cost_of
from nas_lightning.errors import BudgetError
from nas_lightning.graph.norm import InputNorm
from nas_lightning.space.base import Decisions, Projected, Supernet, meets
from nas_lightning.space.choices import one_hot
from nas_lightning.space.ops import conv_bn_relu
from nas_lightning.tasks import Classification

KERNEL = 3


class Stack(nn.Module):
    """Convolutions of stride 2 and a head: ``[B, C_in, L]`` to ``[B, num_outputs]``."""

    def __init__(self, task, widths, affine=True):
        super().__init__()
        self.norm = InputNorm(task.in_channels, affine)
        pairs = itertools.pairwise([task.in_channels, *widths])
        self.layers = nn.ModuleList(conv_bn_relu(before, after, KERNEL, 2, affine) for before, after in pairs)
        self.task, self.head = task, task.head(widths[-1])

    def forward(self, x):
        x = self.norm(x)
        for layer in self.layers:
            x = layer(x)
        return self.head(x.mean(2))


class MaskedStack(Stack, Supernet):
    """The widest stack, of whose channels a width lets the first ones through (FBNetV2, arXiv 2004.05565)."""

    def __init__(self, task, options, num_layers, alphas):
        super().__init__(task, [max(options)] * num_layers, affine=False)
        self.alphas = alphas
        self.register_buffer("masks", torch.tensor([[i < width for i in range(max(options))] for width in options]))

    def forward(self, x, choice):
        x = self.norm(x)
        for layer, weights in zip(self.layers, choice.values(), strict=True):
            x = layer(x) * (weights @ self.masks.to(weights))[0, :, None]
        return self.head(x.mean(2))


@dataclass(frozen=True)
class StackBlueprint:
    widths: tuple[int, ...]
    task: Classification
    file: ClassVar[str] = "stack.json"

    def build(self):
        return Stack(self.task, self.widths)

    def to_dict(self):
        return asdict(self)

    def summary(self):
        return [("stack", str(self.widths))]


class StackSpace:
    """Stacks of convolutions; an architecture is the tuple of their widths."""

    def __init__(self, task, options=(2, 4, 8), num_layers=3):
        self.task, self.options = task, options
        table = Decisions(tuple(map(str, options)), ("width",), (range(1),))
        self.decisions = {f"layer_{i}": table for i in range(num_layers)}
        self.fixed = dict.fromkeys(ADDITIVE, 0)
        self.every = {w: self._exact(w) for w in itertools.product(options, repeat=num_layers)}

    def _exact(self, widths):
        found = cost_of(Stack(self.task, widths), self.task.in_channels, self.task.length)
        return {measure: getattr(found, measure) for measure in MEASURES}

    def architecture(self, picks):
        return tuple(self.options[column] for ((_, column),) in picks.values())

    def picks(self, architecture):
        columns = map(self.options.index, architecture)
        return {name: ((0, column),) for name, column in zip(self.decisions, columns, strict=True)}

    def blueprint(self, architecture):
        return StackBlueprint(architecture, self.task)

    def picture(self, architecture):
        return None

    def cost(self, architecture):
        return self.every[architecture]

    def num_params(self, architecture):
        return self.cost(architecture)["params"]

    def largest(self, measure):
        return max(cost[measure] for cost in self.every.values())

    def expected(self, op_weights, measure):
        """The mean over all stacks, for the layers are drawn independently of each other."""
        chances = torch.stack(list(op_weights.values())).squeeze(1)  # [layers, options]
        total = torch.zeros(())
        for columns in itertools.product(range(len(self.options)), repeat=len(chances)):
            cost = self.every[tuple(self.options[column] for column in columns)][measure]
            total = total + cost * torch.stack([row[c] for row, c in zip(chances, columns, strict=True)]).prod()
        return total

    def project(self, op_weights, limits):
        def score(widths):
            hot = one_hot(widths, self)
            return sum(float((hot[name] * op_weights[name].log().nan_to_num(neginf=-69.0)).sum()) for name in hot)

        scores = {widths: score(widths) for widths in self.every}
        within = [widths for widths in self.every if meets(self.every[widths], limits)]
        if not within:
            nearest = {measure: min(cost[measure] for cost in self.every.values()) for measure in limits}
            raise BudgetError("no network of this space meets", limits, list(limits), nearest)
        best, free = max(within, key=scores.__getitem__), max(scores, key=scores.__getitem__)
        return Projected(best, self.every[best], scores[best], self.every[free], scores[free])

    def supernet(self, alphas, partial=1, kernels="auto"):
        return MaskedStack(self.task, self.options, len(self.decisions), alphas)

    def training_pass(self, supernet):
        return supernet
