"""Folding: the form of a network that is deployed, without BatchNorm."""

import copy

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from nas_lightning.graph.norm import ChannelAffine, InputNorm


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
