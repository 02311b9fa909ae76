"""Folding: the form of a network that is deployed, without BatchNorm."""

import copy

import torch
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from nas_lightning.space.stem import InputNorm


class ChannelAffine(nn.Module):
    """``(x - mean) * scale + shift`` per channel: what is left of the input normalisation after folding.

    The subtraction comes first, because it loses nothing where a small signal stands on a large constant: the
    difference of floats within a factor of two of each other is exact, and so is that of whole numbers below 2^24.
    """

    def __init__(self, scale: Tensor, mean: Tensor, shift: Tensor) -> None:
        super().__init__()
        self.scale = nn.Parameter(scale.reshape(-1, 1))
        self.mean = nn.Parameter(mean.reshape(-1, 1))
        self.shift = nn.Parameter(shift.reshape(-1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, C, L]`` to the same shape."""
        return (x - self.mean) * self.scale + self.shift


@torch.no_grad()
def fold(network: nn.Module) -> nn.Module:
    """A copy of ``network`` in eval mode with every BatchNorm folded into the layer before it.

    The train split's constants and the input BatchNorm become one ``ChannelAffine``. It cannot go further, into the
    first convolution, because that one pads with zeros after the normalisation.
    """
    root = nn.Sequential(copy.deepcopy(network).eval())
    for parent in list(root.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, InputNorm):
                setattr(parent, name, _fold_input(child))
        if isinstance(parent, nn.Sequential):
            _fold_sequence(parent)
    folded = root[0]
    if any(isinstance(module, nn.BatchNorm1d) for module in folded.modules()):
        raise NotImplementedError("fold: a BatchNorm1d does not follow a Conv1d in the same nn.Sequential")
    return folded


def _fold_sequence(sequence: nn.Sequential) -> None:
    for i in range(len(sequence) - 1):
        conv, bn = sequence[i], sequence[i + 1]
        if isinstance(conv, nn.Conv1d) and isinstance(bn, nn.BatchNorm1d):
            sequence[i], sequence[i + 1] = fuse_conv_bn_eval(conv, bn), nn.Identity()


def _fold_input(norm: InputNorm) -> ChannelAffine:
    bn = norm.bn
    assert bn.running_mean is not None  # nosec B101 # for mypy: InputNorm tracks
    assert bn.running_var is not None  # nosec B101 # for mypy: InputNorm tracks
    scale = torch.rsqrt(bn.running_var + bn.eps)
    shift = -bn.running_mean * scale
    if bn.affine:
        scale, shift = scale * bn.weight, shift * bn.weight + bn.bias
    return ChannelAffine(scale / norm.std.flatten(), norm.mean.flatten(), shift)


def trace(folded: nn.Module) -> fx.GraphModule:
    """The graph of a folded network, without the identities that stand where its BatchNorms were.

    The names of its modules begin with ``0.``, so that a single layer is a module of a graph too.
    """
    root = nn.Sequential(folded)
    # By default it looks for calls of math, which takes a quarter of the time.
    graph = _Tracer(autowrap_modules=()).trace(root)  # type: ignore[arg-type]
    for node in list(graph.nodes):
        if node.op == "call_module" and isinstance(root.get_submodule(str(node.target)), nn.Identity):
            node.replace_all_uses_with(node.all_input_nodes[0])
            graph.erase_node(node)
    return fx.GraphModule(root, graph)


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, ChannelAffine) or super().is_leaf_module(m, module_qualified_name)
