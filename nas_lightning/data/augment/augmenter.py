"""What all augmenters share: checked parameters, the share of samples that is changed, and how values are drawn."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Annotated, get_type_hints

import torch
from torch import Generator, Tensor

from nas_lightning.data.augment.rules import Rule, listed, number
from nas_lightning.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Augmenter(ABC):
    """One random change of a batch.

    Args:
        prob: the probability with which a sample is changed, each sample on its own; one number.

    Raises:
        InputError: for a parameter that is not allowed; from a call where the change does not fit the length of ``x``.
    """

    prob: Annotated[float, number(0, 1)] = 1.0

    def __post_init__(self) -> None:
        for name, rule in rules_of(type(self)).items():
            if not rule.accepts(value := getattr(self, name)):
                raise InputError(f"{self._key(name)}: found {value!r}; allowed: {rule.allowed}")

    def __call__(self, x: Tensor, generator: Generator) -> Tensor:
        """A changed copy ``[B, C, new_length(L)]`` of ``x [B, C, L]``."""
        self.new_length(x.shape[2])
        if self.prob == 1:
            return self._change(x, generator)
        chosen = uniform((len(x),), generator) < self.prob
        out = x.clone()
        if chosen.any():
            out[chosen] = self._change(x[chosen], generator)
        return out

    def new_length(self, length: int) -> int:
        """The length that series of ``length`` points get.

        Raises:
            InputError: if the change does not fit this length.
        """
        new = length if self.prob == 0 else self._new_length(length)
        if new != length and self.prob < 1:
            raise InputError(
                f"{self._key('prob')}: found {self.prob} where a length of {length} becomes {new}; "
                "allowed: 1, because the series of a batch have one length"
            )
        return new

    @abstractmethod
    def _change(self, x: Tensor, generator: Generator) -> Tensor:
        """Change every sample."""

    def _new_length(self, length: int) -> int:
        return length

    def _key(self, name: str) -> str:
        return f"augmentation.{type(self).__name__}.{name}"

    def _draw(self, name: str, count: int, generator: Generator) -> Tensor:
        """``count`` values ``[count]`` of a parameter: int64 for a whole number, else float32."""
        value, whole, device = getattr(self, name), rules_of(type(self))[name].whole, generator.device
        if isinstance(value, Mapping) and whole:
            return torch.randint(value["low"], value["high"] + 1, (count,), generator=generator, device=device)
        if isinstance(value, Mapping):
            return value["low"] + (value["high"] - value["low"]) * uniform((count,), generator)
        values = torch.tensor(listed(value), dtype=torch.int64 if whole else torch.float32, device=device)
        if len(values) == 1:
            return values.expand(count)
        return values[torch.randint(len(values), (count,), generator=generator, device=device)]


@cache
def rules_of(kind: type[Augmenter]) -> dict[str, Rule]:
    """The rule of each parameter, from its annotation; ``prob`` last."""
    hints = get_type_hints(kind, include_extras=True)
    names = [each.name for each in fields(kind)]
    return {name: hints[name].__metadata__[0] for name in [*names[1:], names[0]]}


def uniform(shape: tuple[int, ...], generator: Generator) -> Tensor:
    """Numbers of 0 to 1."""
    return torch.rand(shape, generator=generator, device=generator.device)


def normal(shape: tuple[int, ...], generator: Generator) -> Tensor:
    """Numbers of mean 0 and standard deviation 1."""
    return torch.randn(shape, generator=generator, device=generator.device)


def rows_of(x: Tensor, per_channel: bool) -> Tensor:
    """What draws its own parameters: ``[B * C, 1, L]``, or the samples ``[B, C, L]``."""
    return x.flatten(0, 1)[:, None] if per_channel else x


def by_value(x: Tensor, values: Tensor, change: Callable[[Tensor, int], Tensor]) -> Tensor:
    """``change(x[values == value], value)`` for each distinct value, in the order of ``x``."""
    distinct = values.unique().tolist()
    if len(distinct) == 1:
        return change(x, distinct[0])
    out = torch.empty_like(x)
    for value in distinct:
        chosen = values == value
        out[chosen] = change(x[chosen], value)
    return out


def span_of(x: Tensor) -> tuple[Tensor, Tensor]:
    """Smallest value, and largest minus smallest, over time: each ``[B, C, 1]``."""
    low, high = x.aminmax(dim=2, keepdim=True)
    return low, high - low
