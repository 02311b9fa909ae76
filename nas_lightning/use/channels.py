"""Channels by name and order: what recordings have, held against what a network takes."""

from collections.abc import Callable, Sequence
from typing import Any

from nas_lightning.data.reading import choose, is_named
from nas_lightning.errors import InputError, brief


class Arrangement:
    """Brings the channels of recordings to the order of the network, by their names where both know names.

    Args:
        channels: of the network, in order; whole numbers in the place of names that are not known.
        variables: which channels the training took of its recordings; see ``Reading``.
        note: is told once what was put right.
    """

    def __init__(self, channels: Sequence[str], variables: Any, note: Callable[[str], None]) -> None:
        self._channels, self._variables, self._note = tuple(channels), variables, note
        self._has_names = not all(name.isdigit() for name in channels)
        self._said: set[tuple[str, ...]] = set()

    def __call__(self, shown: str, count: int, names: tuple[str, ...] | None) -> list[int]:
        """The numbers of the channels to take, in the order of the network.

        Raises:
            InputError: naming the channels that are missing or too many.
        """
        if names is not None and self._has_names:
            return self._by_name(shown, names)
        if self._variables is None or is_named(self._variables):
            if count != len(self._channels):
                raise InputError(
                    f"{shown} has {count} channels{self._called(names)}; the network takes {len(self._channels)}: "
                    f"{brief(', '.join(self._channels))}"
                )
            return list(range(count))
        return choose(shown, count, names, self._variables)

    def _by_name(self, shown: str, names: tuple[str, ...]) -> list[int]:
        missing = [name for name in self._channels if name not in names]
        extra = [name for name in names if name not in self._channels]
        if missing or (extra and self._variables is None) or len(set(names)) < len(names):
            parts = ["lacks " + ", ".join(missing)] * bool(missing) + ["also has " + ", ".join(extra)] * bool(extra)
            found = " and ".join(parts) or f"has a name twice in {', '.join(names)}"
            raise InputError(
                f"{shown} {brief(found)}; the network takes the channels {brief(', '.join(self._channels))}, each once"
            )
        chosen = [names.index(name) for name in self._channels]
        if chosen != sorted(chosen) and names not in self._said:
            self._said.add(names)
            self._note(
                f"{shown} has its channels in the order {brief(', '.join(names))}; they are brought to that of the "
                f"network, {brief(', '.join(self._channels))}"
            )
        return chosen

    @staticmethod
    def _called(names: tuple[str, ...] | None) -> str:
        return "" if names is None else f" ({brief(', '.join(names))})"
