"""What a parameter of an augmenter may be: a number, a list or a range of numbers, one of some words."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

Value = float | Sequence[float] | Mapping[str, float]

_LARGEST_FLOAT, LARGEST_INT = 3e38, 2**31 - 1
_MOST_POINTS = 1000  # of splines, lines and windows, whose memory is this many times that of the series
LONGEST_RUN = 10_000  # points that are drawn beside each series


@dataclass(frozen=True)
class Rule:
    """What a parameter may be, also in words; ``whole`` says that its numbers are."""

    accepts: Callable[[Any], bool]
    allowed: str
    whole: bool = False


def number(least: float = -_LARGEST_FLOAT, most: float = _LARGEST_FLOAT, whole: bool = False) -> Rule:
    """One number."""
    text = "a whole number" if whole else "a number"
    if most < _LARGEST_FLOAT:
        text += f" from {least} to {most}"
    elif least > -_LARGEST_FLOAT:
        text += f" of {least} or more"
    return Rule(lambda value: _is_number(value, least, most, whole), text, whole)


def numbers(least: float = -_LARGEST_FLOAT, most: float = _LARGEST_FLOAT, whole: bool = False) -> Rule:
    """A number, a list or a range."""
    one = number(least, most, whole)
    allowed = f"{one.allowed}, a list of such, or {{low: a, high: b}} with a <= b"
    return Rule(lambda value: all(one.accepts(each) for each in listed(value)), allowed, whole)


def choice(*choices: str) -> Rule:
    """One of some words."""
    return Rule(lambda value: value in choices, ", ".join(choices))


def _is_number(value: Any, least: float, most: float, whole: bool) -> bool:
    if not isinstance(value, int if whole else int | float) or isinstance(value, bool):
        return False
    return least <= value <= (min(most, LARGEST_INT) if whole else most)


def listed(value: Any) -> list[Any]:
    """The numbers a value consists of; ``[None]``, which no rule accepts, for a list or range that is not one."""
    if isinstance(value, Mapping):
        ends: list[Any] = [value.get("low"), value.get("high")]
        ordered = all(isinstance(end, int | float) for end in ends) and ends[0] <= ends[1]
        return ends if set(value) == {"low", "high"} and ordered else [None]
    if isinstance(value, Sequence) and not isinstance(value, str):
        return list(value) or [None]
    return [value]


Flag = Annotated[bool, Rule(lambda value: isinstance(value, bool), "true or false")]
Count = Annotated[Value, numbers(1, _MOST_POINTS, whole=True)]
Run = Annotated[Value, numbers(1, LONGEST_RUN, whole=True)]
