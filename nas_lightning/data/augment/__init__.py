"""Augmentation of the train split: random changes of a batch ``x [B, C, L]``, drawn anew for each sample and call.

Each change is a frozen dataclass; its fields are the parameters. Except where said otherwise, a number may also be a
list, one of whose values is drawn for each sample, or a range ``{low: a, high: b}``, drawn from uniformly (both ends
included for whole numbers). All randomness comes from the ``torch.Generator`` of the call, on the device of ``x``.
"""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any

import torch

from nas_lightning.data.augment.augmenter import Augmenter, rules_of
from nas_lightning.data.augment.dropout import Dropout
from nas_lightning.data.augment.noise import AddNoise, Drift
from nas_lightning.data.augment.quantizing import Quantize
from nas_lightning.data.augment.smoothing import Convolve, Pool
from nas_lightning.data.augment.warping import Crop, Resize, Reverse, TimeWarp
from nas_lightning.errors import InputError

AUGMENTATIONS: dict[str, type[Augmenter]] = {
    kind.__name__: kind
    for kind in (AddNoise, Drift, Dropout, Pool, Quantize, Convolve, Crop, Resize, Reverse, TimeWarp)
}


@dataclass(frozen=True)
class Augmentation:
    """Augmenters one after another; without any, ``x`` itself is the result."""

    augmenters: tuple[Augmenter, ...]

    def __call__(self, x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """``x [B, C, L]`` changed, ``[B, C, new_length(L)]``; ``x`` keeps its values."""
        for augmenter in self.augmenters:
            x = augmenter(x, generator)
        return x

    def new_length(self, length: int) -> int:
        """The length that series of ``length`` points get.

        Raises:
            InputError: if an augmenter does not fit the length it meets.
        """
        for augmenter in self.augmenters:
            length = augmenter.new_length(length)
        return length


def build_augmentation(settings: Mapping[str, Mapping[str, Any] | None]) -> Augmentation:
    """The augmenters of a configuration, in the written order.

    Args:
        settings: parameters by name of the augmenter; None for the defaults.

    Raises:
        InputError: for an unknown name or parameter, or a value that is not allowed.

    >>> augmentation = build_augmentation({"Reverse": None, "Pool": {"kind": "max", "size": 2}})
    >>> augmentation(torch.tensor([[[1.0, 2.0, 3.0]]]), torch.Generator())
    tensor([[[3., 3., 1.]]])
    """
    if not isinstance(settings, Mapping):
        raise InputError(f"augmentation: found {settings!r}; allowed: names with their parameters")
    return Augmentation(tuple(_build(name, parameters) for name, parameters in settings.items()))


def _build(name: str, parameters: Mapping[str, Any] | None) -> Augmenter:
    if name not in AUGMENTATIONS:
        raise InputError(f"augmentation.{name}: is unknown; allowed: {', '.join(AUGMENTATIONS)}")
    if parameters is not None and not isinstance(parameters, Mapping):
        raise InputError(f"augmentation.{name}: found {parameters!r}; allowed: parameters with their values, or null")
    kind, given = AUGMENTATIONS[name], dict(parameters or {})
    rules = rules_of(kind)
    for parameter, value in given.items():
        if parameter in _REFUSED:
            raise InputError(f"augmentation.{name}.{parameter}: found {value!r}; {_REFUSED[parameter]}")
        if parameter not in rules:
            raise InputError(f"augmentation.{name}.{parameter}: is unknown; allowed: {', '.join(rules)}")
    for each in fields(kind):
        if each.default is MISSING and each.name not in given:
            raise InputError(f"augmentation.{name}.{each.name}: is missing; allowed: {rules[each.name].allowed}")
    return kind(**given)


_REFUSED = {
    "repeats": "allowed: none, because each epoch draws anew and a copy would add nothing",
    "seed": "allowed: none, because the seed of the run decides",
}
