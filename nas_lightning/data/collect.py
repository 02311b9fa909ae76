"""From what a reader gives to checked recordings."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nas_lightning import progress
from nas_lightning.data.reading import VARIABLES, Reading, choose, is_named
from nas_lightning.data.recordings import Block, Recording, Recordings, RowStore, Source
from nas_lightning.data.values import Float32, Rows
from nas_lightning.data.words import Words, first_repeated, in_order, join_names
from nas_lightning.errors import InputError, brief

_BLOCK_VALUES = 1 << 20
"""Recordings are looked at together up to about this many values."""

Arrange = Callable[[str, int, tuple[str, ...] | None], list[int]]
"""From a recording as messages call it, the number of its channels and their names to the channels to take."""


def collect(
    source: Source,
    variables: Any = None,
    missing: str = "error",
    group_pattern: str | None = None,
    reading: Reading | None = None,
) -> Recordings:
    """Read all recordings of a source, check them, and keep the chosen channels.

    Args:
        source: from a reader.
        variables: None for all channels, n for the first n, or a list of channel numbers from 0 or of names.
        missing: one of ``MISSING_POLICIES``.
        group_pattern: a regular expression whose first group (or whole match) in a recording's name is its group;
            without it the groups of the source hold.
        reading: of it, ``offset``, ``similar_labels`` and ``unknown``, whose label becomes the last one.

    Raises:
        InputError: naming the source or the recording, what was found and what is allowed.
    """
    collected = _Collected(source, variables, missing, group_pattern, reading or Reading())
    with progress.bar(f"reading {source.name}", source.total, source.unit) as bar:
        for block in _in_blocks(_counted(source, bar)):
            collected.add(block)
    return collected.finish()


def stream(
    source: Source,
    arrange: Arrange,
    missing: str = "error",
    group_pattern: str | None = None,
    reading: Reading | None = None,
) -> Iterator[Recordings]:
    """The recordings of a source in parts of about a million values, checked as ``collect`` checks them.

    No part is kept, and nothing is asked of their classes and splits: this is for a network that is trained already.

    Args:
        source: from a reader.
        arrange: which channels are taken.
        missing: one of ``MISSING_POLICIES``.
        group_pattern: see ``collect``.
        reading: of it, ``offset``.

    Raises:
        InputError: as ``collect``, when the recording in question is reached; and if there is no recording.
    """
    collected = _Collected(source, None, missing, group_pattern, reading or Reading(), arrange)
    count = 0
    with progress.bar(f"reading {source.name}", source.total, source.unit) as bar:
        for block in _in_blocks(_counted(source, bar)):
            collected.add(block)
            yield (part := collected.part())
            count += len(part)
    if not count:
        raise InputError(f"{source.name}: has no recordings; at least 1 is needed")


def _counted(source: Source, bar: progress.Bar) -> Iterator[Recording | Block]:
    for item in source.recordings:
        bar.update(len(item.values) if source.unit == "row" else len(item))
        yield item


def _in_blocks(items: Iterable[Recording | Block]) -> Iterator[Block]:
    """Small recordings of the same channels that follow each other, together."""
    held: list[Recording] = []
    size = 0
    try:
        for item in items:
            is_small = isinstance(item, Recording) and item.values.size < _BLOCK_VALUES
            if held and not (is_small and _are_alike(held[0], item) and size < _BLOCK_VALUES):
                yield Block.of(held)
                held, size = [], 0
            if isinstance(item, Block):
                yield item
            elif is_small:
                held.append(item)
                size += item.values.size
            else:
                yield Block.of([item])
    except InputError:
        if held:  # what is wrong with them was there first
            yield Block.of(held)
        raise
    if held:
        yield Block.of(held)


def _are_alike(one: Recording, other: Recording | Block) -> bool:
    return (one.values.shape[1], one.channels, one.unit) == (other.values.shape[1], other.channels, other.unit)


@dataclass
class _Held:
    """What stands beside the rows of recordings, a part a block."""

    names: list[Sequence[str]] = field(default_factory=list)
    lengths: list[np.ndarray] = field(default_factory=list)
    rates: list[np.ndarray] = field(default_factory=list)
    labels: list[Words] = field(default_factory=list)
    groups: list[Words | None] = field(default_factory=list)
    splits: list[Words | None] = field(default_factory=list)
    breaks: list[np.ndarray] = field(default_factory=list)


class _Collected:
    """What was read so far, and the checks of what is added; see ``collect`` and ``stream`` for the arguments."""

    def __init__(
        self,
        source: Source,
        variables: Any,
        missing: str,
        group_pattern: str | None,
        reading: Reading,
        arrange: Arrange | None = None,
    ) -> None:
        self._source, self._variables, self._pattern, self._reading = source, variables, group_pattern, reading
        self._arrange = self._chosen if arrange is None else arrange
        self._to_float32 = Float32(missing, reading.offset, self._shown, source.findings)
        self._store: RowStore | None = None
        self._first = ""
        self._channels: tuple[str, ...] | None = None
        self._held = _Held()
        self._unit: str | None = None

    def add(self, block: Block) -> None:
        """Check and keep recordings; if something is wrong, what is wrong with the first of them is said."""
        try:
            self._add(block)
        except InputError:
            if len(block) > 1:
                for one in block.singles():
                    self._add(one)
            raise

    def _add(self, block: Block) -> None:
        shown = self._shown(block.names[0])
        values, channels = block.values, block.channels
        chosen = self._arrange(shown, values.shape[1], channels)
        if chosen != list(range(values.shape[1])):
            values = values[:, chosen]
            channels = None if channels is None else tuple(channels[number] for number in chosen)
        if self._store is None:
            self._store, self._first, self._unit = RowStore(values.shape[1]), block.names[0], block.unit
        self._check_channels(shown, values.shape[1], channels)
        rows = self._to_float32(block.names, Rows(values, block.lengths, block.breaks), channels)
        self._held.groups.append(self._groups_of(block))
        self._held.breaks.append(self._store.num_rows + rows.breaks)
        self._store.add(rows.values)
        self._unit = self._unit if self._unit == block.unit else None
        self._held.names.append(block.names)
        self._held.lengths.append(rows.lengths)
        self._held.labels.append(block.labels)
        self._held.splits.append(block.splits)
        unknown = np.full(len(block), np.nan)
        self._held.rates.append(unknown if block.sampling_rates is None else block.sampling_rates)

    def finish(self) -> Recordings:
        """All recordings, after a look at them together."""
        source = self._source
        if self._store is None:
            raise InputError(f"{source.name}: has no recordings; at least 2 are needed, of 2 classes")
        held = self._held
        names = join_names(held.names)
        if (repeated := first_repeated(names)) is not None:
            raise InputError(f"{self._shown(repeated)}: there are two recordings of this name; allowed: each once")
        labels, label_names = _distinct(source, Words.join(held.labels), self._reading.similar_labels)
        splits = _all_or_none(source.name, "split", held.splits, len(names))
        label_names = _with_last(source.name, label_names, self._reading.unknown)
        _check_classes(source.name, labels, splits, label_names, self._reading.unknown)
        numbers = {name: number for number, name in enumerate(label_names)}
        own = np.array([numbers.get(word, -1) for word in labels.words])[labels.numbers]
        return self._recordings(self._store, names, own, label_names, splits)

    def part(self) -> Recordings:
        """The recordings that were added since the last part; their classes are those that they name."""
        assert self._store is not None  # nosec B101 # tells the type checker: something was added
        labels = Words.join(self._held.labels)
        made = self._recordings(self._store, join_names(self._held.names), labels.numbers, labels.words, None)
        self._store, self._held = RowStore(self._store.channels), _Held()
        return made

    def _recordings(
        self,
        store: RowStore,
        names: Sequence[str],
        labels: np.ndarray,
        label_names: tuple[str, ...],
        splits: Words | None,
    ) -> Recordings:
        held, source = self._held, self._source
        return Recordings(
            source=source.name,
            values=store.finish(),
            starts=np.concatenate([[0], np.cumsum(np.concatenate(held.lengths))]),
            names=names,
            labels=labels,
            label_names=label_names,
            groups=_all_or_none(source.name, "group", held.groups, len(names)),
            splits=splits,
            sampling_rates=np.concatenate(held.rates),
            lists=source.lists,
            channels=self._channels,
            breaks=np.concatenate(held.breaks),
            offsets=self._to_float32.offsets,
            unit=self._unit,
            has_unknown=self._reading.unknown is not None,
        )

    def _chosen(self, shown: str, count: int, channels: tuple[str, ...] | None) -> list[int]:
        """The channels that ``variables`` names, unless the reader has taken them already."""
        return choose(shown, count, channels, None if self._source.is_chosen else self._variables)

    def _shown(self, name: str) -> str:
        return f"{self._source.name}: {brief(name)}"

    def _check_channels(self, shown: str, count: int, channels: tuple[str, ...] | None) -> None:
        assert self._store is not None  # nosec B101 # tells the type checker
        if count != self._store.channels:
            raise InputError(
                f"{shown} has {count} channels and {self._first} has {self._store.channels}; they must agree"
            )
        self._channels = self._channels or channels
        if not is_named(self._variables) and channels not in (None, self._channels):
            raise InputError(
                f"{shown} names its channels {brief(', '.join(channels or ()))} and {self._first} names them "
                f"{brief(', '.join(self._channels or ()))}; name the ones to take by {VARIABLES}"
            )

    def _groups_of(self, block: Block) -> Words | None:
        if self._pattern is None:
            return block.groups
        return Words.of([_group(self._shown(name), name, self._pattern) for name in block.names])


def group_in(name: str, pattern: str) -> str | None:
    """The group in the name of a recording: the first group of a regular expression, or its whole match.

    >>> group_in("walk/p07_a.csv", "p([0-9]+)"), group_in("walk/a.csv", "p([0-9]+)")
    ('07', None)
    """
    match = re.search(pattern, name)
    return next((part for part in (match.groups() or (match[0],)) if part is not None), None) if match else None


def _group(shown: str, name: str, pattern: str) -> str:
    found = group_in(name, pattern)
    if found is None:
        raise InputError(
            f"`group_pattern`: {pattern!r} finds nothing in the name of {shown}; allowed: a pattern that "
            "is found in every name, or null"
        )
    return found


def _distinct(source: Source, labels: Words, policy: str | None) -> tuple[Words, tuple[str, ...]]:
    """The labels and the classes, with what stands for the same class settled.

    Raises:
        InputError: if labels differ by case, spaces or the form of a number only, and nothing says what that means.
    """
    label_names = tuple(source.label_names or in_order(labels.present))
    alike: dict[str, list[str]] = {}
    for name in label_names:
        alike.setdefault(plain_label(name), []).append(name)
    several = [names for names in alike.values() if len(set(names)) > 1]
    if not several or policy == "keep":
        return labels, label_names
    if policy is None:
        raise InputError(
            f"{source.name}: has the labels {brief(several[0])}, which differ by case, spaces or the form of a number "
            "only; `similar_labels`=merge makes them one class, keep leaves them apart"
        )
    first = {name: names[0] for names in alike.values() for name in names}
    for names in several:
        source.findings.decide(f"the labels {brief(names)} are one class, {names[0]}", key="`similar_labels`")
    words = [first.get(word, word) for word in labels.words]
    places = {word: place for place, word in enumerate(dict.fromkeys(words))}
    numbers = np.array([*(places[word] for word in words), -1])[labels.numbers]
    return Words(numbers, list(places)), tuple(dict.fromkeys(first[name] for name in label_names))


def plain_label(label: str) -> str:
    """A label without what a hand that types it may do now and again otherwise."""
    text = " ".join(label.split()).casefold()
    try:
        return str(float(text))
    except ValueError:
        return text


def _with_last(source: str, label_names: tuple[str, ...], unknown: str | None) -> tuple[str, ...]:
    """The classes with the label of recordings of no class at the end."""
    if unknown is None:
        return label_names
    if unknown not in label_names:
        raise InputError(
            f"`unknown`: found {unknown!r}, which no recording of {source} is labelled with; allowed: one of "
            f"{brief(list(label_names))}, or null"
        )
    return (*(name for name in label_names if name != unknown), unknown)


def _check_classes(
    source: str, labels: Words, splits: Words | None, label_names: tuple[str, ...], unknown: str | None
) -> None:
    found = labels.present
    others = sorted(found - set(label_names))
    if others:
        raise InputError(f"{source}: has the labels {brief(others)} beside its classes {brief(list(label_names))}")
    repeated = sorted({name for name in label_names if label_names.count(name) > 1})
    if repeated:
        raise InputError(f"{source}: has several classes of the names {brief(repeated)}; allowed: each name once")
    trained = found if splits is None else Words(labels.numbers[~splits.are("test")], labels.words).present
    if len(trained - {unknown}) < 2:
        known = brief(sorted(trained - {unknown}))
        raise InputError(f"{source}: has the one class {known} to train on; at least 2 are needed")
    empty = [name for name in label_names if name not in found]
    if empty:
        raise InputError(f"{source}: the classes {brief(empty)} have no recording; leave them out or give them some")
    unseen = [name for name in label_names if name not in trained and name != unknown]
    if unseen:
        raise InputError(f"{source}: the test split has classes that the train split lacks: {brief(unseen)}")


def _all_or_none(source: str, what: str, parts: Sequence[Words | None], total: int) -> Words | None:
    given = [part for part in parts if part is not None]
    count = sum(int((part.numbers >= 0).sum()) for part in given)
    if 0 < count < total:
        raise InputError(f"{source}: {count} of {total} recordings have a {what}; allowed: all or none")
    return Words.join(given) if count else None
