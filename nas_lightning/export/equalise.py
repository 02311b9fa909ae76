"""Equalisation: the same function with channels of even range, so that int8 loses less of it."""

from typing import Any, cast

import torch
from torch import Tensor, fx, nn

from nas_lightning.space.fold import fold, trace

_BATCH = 256
_KEEPS_SCALE = (nn.ReLU, nn.MaxPool1d, nn.AvgPool1d)
"""Layers f with f(s * x) = s * f(x) for any scale s > 0 of a channel."""


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
        NotImplementedError: if ``fold`` cannot fold the network.
    """
    folded = fold(network)
    watch = _Watch(folded)
    for batch in samples.split(_BATCH):
        watch.run(batch)
    scales = watch.scales()
    for node in watch.layers:
        layer = watch.layer(node)
        _multiply_inputs(layer, watch.gather(scales, node))
        _divide_outputs(layer, scales[node])
    return folded


class _Watch(fx.Interpreter):
    """Runs samples through a network, and keeps who writes the channels of every value, and their magnitudes.

    Attributes:
        writers: for each value the nodes that write its channels, in the order of the channels.
        magnitudes: for each writer the largest magnitude of its channels, ``[C]``, as its readers find them.
        layers: the convolutions and linear layers.
    """

    def __init__(self, network: nn.Module) -> None:
        traced = trace(network)
        super().__init__(traced)
        self.writers: dict[fx.Node, tuple[fx.Node, ...]] = {}
        self.magnitudes: dict[fx.Node, Tensor] = {}
        for node in traced.graph.nodes:
            self.writers[node] = self._writers_of(node)
        self.layers = [node for node in self.writers if isinstance(self.layer(node), (nn.Conv1d, nn.Linear))]

    def layer(self, node: fx.Node) -> Any:
        """The module that a node calls, if any."""
        return self.module.get_submodule(str(node.target)) if node.op == "call_module" else None

    def run_node(self, n: fx.Node) -> Any:
        """Run one node, and keep the magnitudes of what it writes."""
        out = super().run_node(n)
        if len(self.writers[n]) == 1 and isinstance(out, Tensor) and out.dim() > 1 and not self._is_rectified(n):
            found = out.abs().transpose(0, 1).flatten(1).amax(1)
            (writer,) = self.writers[n]
            self.magnitudes[writer] = torch.maximum(found, self.magnitudes.get(writer, found))
        return out

    def gather(self, of_writers: dict[fx.Node, Tensor], node: fx.Node) -> Tensor:
        """What belongs to the input channels of a node, from what belongs to the channels of their writers."""
        return torch.cat([of_writers[writer] for writer in self.writers[node.all_input_nodes[0]]])

    def scales(self) -> dict[fx.Node, Tensor]:
        """For each writer what its channels are divided by, ``[C]``."""
        reads = {writer: torch.zeros_like(magnitude) for writer, magnitude in self.magnitudes.items()}
        for node in self.layers:
            writers = self.writers[node.all_input_nodes[0]]
            weights = _reading_weights(self.layer(node), self.gather(self.magnitudes, node))
            for writer, part in zip(writers, weights.split([len(reads[w]) for w in writers]), strict=True):
                reads[writer] = torch.maximum(reads[writer], part)
        free = set(self.layers) - self._fixed()
        return {
            writer: _scale(magnitude, reads[writer]) if writer in free else torch.ones_like(magnitude)
            for writer, magnitude in self.magnitudes.items()
        }

    def _writers_of(self, node: fx.Node) -> tuple[fx.Node, ...]:
        if self._keeps_scale(node):
            return self.writers[node.all_input_nodes[0]]
        if _is_concat(node):
            sources = cast(list[fx.Node], node.args[0])  # all_input_nodes names a node once, however often it is there
            return tuple(writer for source in sources for writer in self.writers[source])
        return (node,)

    def _fixed(self) -> set[fx.Node]:
        """Writers with a reader, the output among them, that a scale cannot be moved into."""
        ends = [n for n in self.writers if self.writers[n] == (n,) and n not in self.layers]
        return {writer for node in ends for source in node.all_input_nodes for writer in self.writers[source]}

    def _keeps_scale(self, node: fx.Node) -> bool:
        if node.target == "mean":
            return node.args[1:] == (2,)
        return isinstance(self.layer(node), _KEEPS_SCALE)

    def _is_rectified(self, node: fx.Node) -> bool:
        """Whether only ReLU reads a node: then what it removes is no part of the quantized range."""
        return bool(node.users) and all(isinstance(self.layer(user), nn.ReLU) for user in node.users)


def _is_concat(node: fx.Node) -> bool:
    return node.target is torch.cat and node.kwargs == {"dim": 1}


def _scale(magnitude: Tensor, reads: Tensor) -> Tensor:
    """The scale of each channel; with it an unread one fills the range, and a dead one could fill its readers' rows."""
    is_read, is_alive = reads > 0, magnitude > 0
    one = torch.ones_like(magnitude)
    reads, magnitude = torch.where(is_read, reads, one), torch.where(is_alive, magnitude, one)
    balanced = torch.where(is_alive, (magnitude / reads).sqrt(), 1 / reads)
    return torch.where(is_read, balanced, magnitude)


def _reading_weights(layer: Any, magnitude: Tensor) -> Tensor:
    """For each input channel ``[C]`` its largest weight, as a share of the output channel's largest weight x input."""
    weight = _by_group(layer).abs().amax(3)
    largest = (weight * magnitude.reshape(len(weight), 1, -1)).amax(2, keepdim=True)
    return torch.where(largest > 0, weight / largest, 0).amax(1).flatten()


def _by_group(layer: Any) -> Tensor:
    """The weights as ``[groups, outputs of a group, inputs of a group, taps]``."""
    weight, groups = layer.weight, getattr(layer, "groups", 1)
    return weight.reshape(groups, len(weight) // groups, weight.shape[1], -1)


def _multiply_inputs(layer: Any, scale: Tensor) -> None:
    weight = _by_group(layer)
    layer.weight.copy_((weight * scale.reshape(len(weight), 1, -1, 1)).reshape(layer.weight.shape))


def _divide_outputs(layer: Any, scale: Tensor) -> None:
    layer.weight.copy_((layer.weight.flatten(1) / scale[:, None]).reshape(layer.weight.shape))
    if layer.bias is not None:
        layer.bias.div_(scale)
