"""What a network must not exceed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, eq=False)
class Budget(Mapping[str, int]):
    """Limits by measure.

    >>> budget = Budget({"params": 100, "ram_bytes": 64}, frozenset({"params"}))
    >>> budget.less({"ram_bytes": 16})["ram_bytes"], budget.exceeded({"params": 101, "ram_bytes": 64})
    (48, ('params',))

    Attributes:
        limits: the largest value that is allowed of each measure that is limited.
        targets: the measures whose limit is to be used up; the other limits are a chip's size, and nobody's target.
    """

    limits: Mapping[str, int]
    targets: frozenset[str] = frozenset()

    def __getitem__(self, measure: str) -> int:
        return self.limits[measure]

    def __iter__(self) -> Iterator[str]:
        return iter(self.limits)

    def __len__(self) -> int:
        return len(self.limits)

    def less(self, used: Mapping[str, int]) -> "Budget":
        """What is left of it when something else has used its part."""
        return Budget({measure: limit - used.get(measure, 0) for measure, limit in self.items()}, self.targets)

    def exceeded(self, cost: Mapping[str, int]) -> tuple[str, ...]:
        """The measures of which a cost has more than is allowed."""
        return tuple(measure for measure, limit in self.items() if cost[measure] > limit)


def milliseconds(instructions: float, clock_mhz: float) -> float:
    """The time of so many instructions if each takes one clock cycle; a real core takes longer."""
    return instructions / clock_mhz / 1000


def instructions_within(time_ms: float, clock_mhz: float) -> int:
    """The most instructions that take no more than a time, by the same rule."""
    return int(time_ms * clock_mhz * 1000)
