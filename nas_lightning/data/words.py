"""Names of many recordings, and words that many of them share, without a Python object for each recording."""

import bisect
import itertools
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import overload

import numpy as np

_MOST_STRINGS = 1 << 16


class Words(Sequence[str | None]):
    """A word for each of R recordings, or None, kept as the numbers of the words that there are.

    Args:
        numbers: whole numbers ``[R]``, each the place of a word, or -1 for None.
        words: the words.
    """

    def __init__(self, numbers: np.ndarray, words: Sequence[str]) -> None:
        self.numbers, self.words = numbers, tuple(words)

    @classmethod
    def of(cls, values: Sequence[str | None]) -> "Words":
        """The words of a list, in order."""
        words = sorted({value for value in values if value is not None})
        places: dict[str | None, int] = {word: place for place, word in enumerate(words)}
        return cls(np.array([places.get(value, -1) for value in values], dtype=np.int64), words)

    @classmethod
    def join(cls, parts: Sequence["Words"]) -> "Words":
        """One behind the other; the words are in order, and each is there once."""
        words = sorted(set().union(*(part.words for part in parts)))
        places = {word: place for place, word in enumerate(words)}
        maps = {part.words: np.array([*(places[word] for word in part.words), -1]) for part in parts}
        return cls(np.concatenate([maps[part.words][part.numbers] for part in parts]), words)

    def __len__(self) -> int:
        return len(self.numbers)

    @overload
    def __getitem__(self, index: int) -> str | None: ...
    @overload
    def __getitem__(self, index: slice) -> "Words": ...
    def __getitem__(self, index: int | slice) -> "str | Words | None":
        if isinstance(index, slice):
            return Words(self.numbers[index], self.words)
        number = self.numbers[index]
        return None if number < 0 else self.words[number]

    @property
    def present(self) -> set[str]:
        """The words that at least one recording has."""
        return {self.words[number] for number in np.unique(self.numbers) if number >= 0}

    def taken(self, places: np.ndarray) -> "Words":
        """Those of some recordings."""
        return Words(self.numbers[places], self.words)

    def are(self, word: str) -> np.ndarray:
        """Which recordings have this word, bool ``[R]``."""
        return self.numbers == (self.words.index(word) if word in self.words else len(self.words))


def in_order(names: Iterable[str]) -> list[str]:
    """Numbers by value, else by name."""
    names = sorted(names)
    try:
        return sorted(names, key=float)
    except ValueError:
        return names


class _Names(Sequence[str]):
    """A sequence that makes each of its names when it is asked for."""

    @abstractmethod
    def _at(self, place: int) -> str:
        """The name at a place, 0 or above."""

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[str, ...]: ...
    def __getitem__(self, index: int | slice) -> str | tuple[str, ...]:
        if isinstance(index, slice):
            return tuple(self[i] for i in range(*index.indices(len(self))))
        return self._at(range(len(self))[index])


class Numbered(_Names):
    """The names ``PREFIX/NUMBER``, made when they are asked for.

    >>> list(Numbered("train", range(2)))
    ['train/0', 'train/1']
    """

    def __init__(self, prefix: str, numbers: range) -> None:
        self.prefix, self.numbers = prefix, numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def _at(self, place: int) -> str:
        return f"{self.prefix}/{self.numbers[place]}"

    def __iter__(self) -> Iterator[str]:
        return (f"{self.prefix}/{number}" for number in self.numbers)


class _Packed(_Names):
    """Names as one text; a million strings would take several times its memory."""

    def __init__(self, names: Sequence[str]) -> None:
        # Names of files can hold what is no UTF-8.
        parts = [name.encode(errors="surrogatepass") for name in names]
        self.text = b"".join(parts)
        self.bounds = np.concatenate([[0], np.cumsum([len(part) for part in parts])])

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def _at(self, place: int) -> str:
        return self.text[self.bounds[place] : self.bounds[place + 1]].decode(errors="surrogatepass")


class _Chain(_Names):
    """Sequences one behind the other."""

    def __init__(self, parts: Sequence[Sequence[str]]) -> None:
        self.parts = parts
        self.ends = list(itertools.accumulate(map(len, parts)))

    def __len__(self) -> int:
        return self.ends[-1]

    def _at(self, place: int) -> str:
        part = bisect.bisect_right(self.ends, place)
        return self.parts[part][place - self.ends[part]]

    def __iter__(self) -> Iterator[str]:
        return itertools.chain.from_iterable(self.parts)


def join_names(parts: Sequence[Sequence[str]]) -> Sequence[str]:
    """Names one behind the other; those that are numbered stay so."""
    joined: list[Sequence[str]] = []
    plain: list[str] = []
    for part in parts:
        if not isinstance(part, Numbered):
            plain += part
            continue
        if plain:
            joined.append(tuple(plain))
            plain = []
        before = joined[-1] if joined else None
        if isinstance(before, Numbered) and before.prefix == part.prefix and before.numbers.stop == part.numbers.start:
            joined[-1] = Numbered(part.prefix, range(before.numbers.start, part.numbers.stop))
        else:
            joined.append(part)
    if plain:
        joined.append(tuple(plain))
    joined = [_Packed(part) if isinstance(part, tuple) and len(part) > _MOST_STRINGS else part for part in joined]
    return joined[0] if len(joined) == 1 else _Chain(joined)


def first_repeated(names: Sequence[str]) -> str | None:
    """The first name that was there before; numbered names are not looked at one by one."""
    parts = names.parts if isinstance(names, _Chain) else [names]
    prefixes = [part.prefix for part in parts if isinstance(part, Numbered)]
    if len(prefixes) == len(parts) == len(set(prefixes)) or len(set(names)) == len(names):
        return None
    seen: set[str] = set()
    return next(name for name in names if name in seen or seen.add(name))  # type: ignore[func-returns-value]
