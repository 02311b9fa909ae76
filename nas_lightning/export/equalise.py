"""Equalisation: the same function with channels of even range, so that int8 loses less of it."""

from typing import Any

import torch
from torch import Tensor, nn

from nas_lightning.graph.layers import POOLS, PRODUCTS
from nas_lightning.graph.trace import Layer, LayerGraph, trace

_BATCH = 256
SCALES = {
    **dict.fromkeys(PRODUCTS, "weighs"),
    **dict.fromkeys((*POOLS, "relu", "concat", "global_avg_pool", "flatten"), "passes"),
    **dict.fromkeys(("affine", "add"), None),  # both values of an addition would need one scale
}
"""By kind where the scale s > 0 of a channel can be moved: into a layer that ``weighs`` its inputs, and through one
that ``passes`` it, as f(s * x) = s * f(x); None where it can be moved into neither."""


@torch.no_grad()
def equalise(network: nn.Module, samples: Tensor) -> nn.Module:
    """A folded copy of ``network`` that computes the same, with the ranges of its channels evened out.

    Int8 activations share one scale a tensor, so a channel of small range has few steps. Channel c is divided by s_c
    where it is written, and multiplied by s_c in the weights of all its readers, with s_c = sqrt(a_c / w_c)
    (Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias Correction", arXiv 1906.04721,
    eq. 9-11). Here a_c is the largest magnitude of the channel on ``samples``, and w_c the largest weight that reads
    it. Because int8 weights have a scale for each output channel, a weight counts as a share of the largest
    weight x magnitude of its output channel. So scales of channels that cancel out do not change the result, and no
    iteration is needed: afterwards magnitude and weight of a channel are equal, and at most 1, in these units.

    Scales are moved through ReLU, pooling and concatenation from one convolution to the next or to the linear layer.
    The input, the logits and what any other layer reads or makes keep theirs.

    Args:
        network: what ``fold`` can fold.
        samples: ``[N, C, L]``, typical inputs.

    Raises:
        InputError: for a layer that is not known.
        NotImplementedError: if ``fold`` cannot fold the network.
    """
    graph = trace(network, *samples.shape[1:])
    watch = _Watch(graph)
    for batch in samples.split(_BATCH):
        graph.run(batch, watch.make)
    scales = watch.scales()
    for i, layer in watch.layers.items():
        _multiply_inputs(layer.module, watch.gather(scales, layer))
        _divide_outputs(layer.module, scales[i])
    return graph.network


class _Watch:
    """Runs samples through a network, and keeps who writes the channels of every value, and their magnitudes.

    Attributes:
        writers: for each value the numbers of those that write its channels, in the order of the channels.
        magnitudes: for each writer the largest magnitude of its channels, ``[C]``, as its readers find them.
        layers: the convolutions and linear layers, by the numbers of what they make.
    """

    def __init__(self, graph: LayerGraph) -> None:
        self.graph = graph
        self.writers: list[tuple[int, ...]] = [(0,)]
        for i, layer in enumerate(graph.layers, start=1):
            passed = tuple(writer for source in layer.inputs for writer in self.writers[source])
            self.writers.append(passed if SCALES[layer.kind.name] == "passes" else (i,))
        weighing = [i for i, layer in enumerate(graph.layers, start=1) if SCALES[layer.kind.name] == "weighs"]
        self.layers = {i: graph.layers[i - 1] for i in weighing}
        self.magnitudes: dict[int, Tensor] = {}

    def make(self, i: int, *values: Tensor) -> Tensor:
        """Make a value, and keep the magnitudes of its channels."""
        out = self.graph.layers[i - 1](*values) if i else values[0]
        # What a ReLU removes is no part of the quantized range.
        if len(self.writers[i]) == 1 and set(self.graph.reading_kinds(i)) != {"relu"}:
            (writer,) = self.writers[i]
            channels = self.graph.layers[writer - 1].out_shape[1] if writer else out.shape[1]
            found = out.abs().amax(0).reshape(channels, -1).amax(1)  # which also takes what is flattened
            self.magnitudes[writer] = torch.maximum(found, self.magnitudes.get(writer, found))
        return out

    def gather(self, of_writers: dict[int, Tensor], layer: Layer) -> Tensor:
        """What belongs to the input channels of a layer, from what belongs to the channels of their writers."""
        return torch.cat([of_writers[writer] for writer in self.writers[layer.inputs[0]]])

    def scales(self) -> dict[int, Tensor]:
        """For each writer what its channels are divided by, ``[C]``."""
        reads = {writer: torch.zeros_like(magnitude) for writer, magnitude in self.magnitudes.items()}
        for layer in self.layers.values():
            writers = self.writers[layer.inputs[0]]
            weights = _reading_weights(layer.module, self.gather(self.magnitudes, layer))
            for writer, part in zip(writers, weights.split([len(reads[w]) for w in writers]), strict=True):
                reads[writer] = torch.maximum(reads[writer], part)
        free = self.layers.keys() - self._fixed()
        return {
            writer: _scale(magnitude, reads[writer]) if writer in free else torch.ones_like(magnitude)
            for writer, magnitude in self.magnitudes.items()
        }

    def _fixed(self) -> set[int]:
        """Writers with a reader, the end among them, that a scale cannot be moved into."""
        ends = [source for layer in self.graph.layers if SCALES[layer.kind.name] is None for source in layer.inputs]
        return {writer for source in (*ends, self.graph.output) for writer in self.writers[source]}


def _scale(magnitude: Tensor, reads: Tensor) -> Tensor:
    """The scale of each channel; with it an unread one fills the range, and a dead one could fill its readers' rows."""
    is_read, is_alive = reads > 0, magnitude > 0
    one = torch.ones_like(magnitude)
    reads, magnitude = torch.where(is_read, reads, one), torch.where(is_alive, magnitude, one)
    balanced = torch.where(is_alive, (magnitude / reads).sqrt(), 1 / reads)
    return torch.where(is_read, balanced, magnitude)


def _reading_weights(layer: Any, magnitude: Tensor) -> Tensor:
    """For each input channel ``[C]`` its largest weight, as a share of the output channel's largest weight x input."""
    weight = _by_group(layer, len(magnitude)).abs().amax(3)
    largest = (weight * magnitude.reshape(len(weight), 1, -1)).amax(2, keepdim=True)
    return torch.where(largest > 0, weight / largest, 0).amax(1).flatten()


def _by_group(layer: Any, channels: int) -> Tensor:
    """The weights as ``[groups, outputs of a group, inputs of a group, taps]``; flattened steps are taps."""
    weight, groups = layer.weight, getattr(layer, "groups", 1)
    return weight.reshape(groups, len(weight) // groups, channels // groups, -1)


def _multiply_inputs(layer: Any, scale: Tensor) -> None:
    weight = _by_group(layer, len(scale))
    layer.weight.copy_((weight * scale.reshape(len(weight), 1, -1, 1)).reshape(layer.weight.shape))


def _divide_outputs(layer: Any, scale: Tensor) -> None:
    layer.weight.copy_((layer.weight.flatten(1) / scale[:, None]).reshape(layer.weight.shape))
    if layer.bias is not None:
        layer.bias.div_(scale)
