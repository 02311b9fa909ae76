"""Splits into ``train``, ``val`` and ``test``: by recording, by group, by time or by window; never a row in two."""

import hashlib
import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.model_selection import train_test_split

from nas_lightning.data.annotations import SPLITS
from nas_lightning.data.recordings import Lists, Recordings
from nas_lightning.errors import InputError

SPLIT_TYPES = ("auto", "amongst_files", "by_group", "within_files", "amongst_windows")
"""Whole recordings; whole groups; by time within each recording; windows at random. ``auto``: by group, if known."""

_CHOICES = 500

Segments = dict[str, np.ndarray]
"""By split: int64 ``[S, 3]``, each row a recording, its first row and the row behind its last."""


def complete_factors(factors: float | Sequence[float]) -> tuple[float, float, float]:
    """The shares of train, val and test; what is not given is shared equally among the rest.

    >>> complete_factors(0.5)
    (0.5, 0.25, 0.25)

    Raises:
        InputError: unless they are three shares above 0 that sum to 1.
    """
    given = list(factors) if isinstance(factors, Sequence) and not isinstance(factors, str) else [factors]
    is_numbers = all(isinstance(factor, int | float) for factor in given)
    rest = [(1 - sum(given)) / (3 - len(given))] * (3 - len(given)) if is_numbers and 0 < len(given) < 3 else []
    shares = [float(factor) for factor in given] + rest if is_numbers else []
    if len(shares) != 3 or not min(shares) > 0 or not abs(sum(shares) - 1) < 1e-6:
        raise InputError(
            f"dataset.split_factor: found {factors}; allowed: shares of train, val and test above 0 that sum to 1, or "
            "the first of them"
        )
    return shares[0], shares[1], shares[2]


def make_splits(
    recordings: Recordings, split_type: str, factors: tuple[float, float, float], seed: int, rows: int
) -> Segments:
    """Divide recordings; a test split of the source stays as it is, and only val is taken from the rest.

    Args:
        recordings: R recordings.
        split_type: one of ``SPLIT_TYPES``.
        factors: shares of train, val and test.
        seed: of what is drawn.
        rows: rows of a sample, for ``amongst_windows``; 0 if samples are whole recordings or overlap.

    Raises:
        InputError: if there are too few recordings, groups or rows for the splits.
    """
    if split_type == "auto":
        split_type = "amongst_files" if recordings.groups is None else "by_group"
    fixed = np.array(recordings.splits or ("",) * len(recordings))
    segments = {split: _whole(recordings, np.flatnonzero(fixed == split)) for split in SPLITS}
    rest = _whole(recordings, np.flatnonzero((fixed == "") | (fixed == "train")))
    train, val, test = factors
    shares = {"test": test, "val": val / (train + val)}
    parts = {split: share for split, share in shares.items() if not len(segments[split])}
    if split_type == "amongst_windows":
        if not rows:
            raise InputError(
                "dataset.split_type: amongst_windows needs frame_size, and neighbouring windows side by side"
            )
        rest = _blocks(rest, rows)
    if split_type == "within_files":
        return segments | _by_time(recordings, rest, parts)
    for split, share in parts.items():
        names = recordings.groups if split_type == "by_group" else None
        groups = None if names is None else np.array(names)[rest[:, 0]]
        if split_type == "by_group" and groups is None:
            raise InputError(f"dataset.split_type: by_group needs groups, which {recordings.source} does not have")
        kept, taken = _deal(recordings, rest[:, 0], groups, share, seed, split)
        segments[split], rest = rest[taken], rest[kept]
    return segments | {"train": rest}


def from_lists(recordings: Recordings, lists: Lists, source: str) -> Segments:
    """The splits that lists name.

    Raises:
        InputError: for an unknown recording, rows that it does not have, or rows in two splits.
    """
    numbers = {name: number for number, name in enumerate(recordings.names)}
    segments = {}
    for split, rows in lists.items():
        found = []
        for name, start, stop in rows:
            if name not in numbers:
                raise InputError(
                    f"{source}: the list of {split} names {name!r}, which {recordings.source} does not hold"
                )
            length = int(recordings.lengths[numbers[name]])
            last = length if stop is None else stop
            if not 0 <= start < last <= length:
                raise InputError(
                    f"{source}: the list of {split} asks for rows {start} to {last} of {name}, which has {length}"
                )
            found.append((numbers[name], start, last))
        segments[split] = np.array(found, dtype=np.int64).reshape(-1, 3)
    _refuse_overlap(recordings, segments, source)
    return segments


def to_lists(recordings: Recordings, segments: Segments) -> Lists:
    """What ``from_lists`` reads back; whole recordings are named alone."""
    lists: Lists = {}
    for split, rows in segments.items():
        whole = [(start, stop) == (0, recordings.lengths[number]) for number, start, stop in rows]
        lists[split] = [
            (recordings.names[number], int(start), None if is_whole else int(stop))
            for (number, start, stop), is_whole in zip(rows, whole, strict=True)
        ]
    return lists


def check_splits(recordings: Recordings, segments: Segments) -> list[str]:
    """What a user should know about the splits, one sentence each.

    Raises:
        InputError: if a split is empty, or train lacks a class.
    """
    notes = []
    for split in SPLITS:
        if not len(segments[split]):
            raise InputError(
                f"{recordings.source}: no recording is left for {split}; give more, or another split_factor"
            )
        present = set(recordings.labels[segments[split][:, 0]].tolist())
        lost = [name for number, name in enumerate(recordings.class_names) if number not in present]
        if lost and split == "train":
            raise InputError(f"{recordings.source}: the split leaves no training sample of the classes {lost}")
        if lost:
            notes.append(f"the {split} split has no sample of {', '.join(lost)}")
    return (
        notes + _leaks(recordings, segments) + _divided_groups(recordings, segments) + _duplicates(recordings, segments)
    )


def report(recordings: Recordings, segments: Segments) -> dict[str, Any]:
    """By split: recordings, rows, recordings of each class, and groups."""
    content: dict[str, Any] = {}
    for split, rows in segments.items():
        counts = Counter(recordings.labels[rows[:, 0]].tolist())
        content[split] = {
            "recordings": len(set(rows[:, 0].tolist())),
            "rows": int((rows[:, 2] - rows[:, 1]).sum()),
            "classes": {name: counts[number] for number, name in enumerate(recordings.class_names)},
        }
        if recordings.groups is not None:
            content[split]["groups"] = sorted({recordings.groups[number] for number in rows[:, 0]})
    return content


def _whole(recordings: Recordings, numbers: np.ndarray) -> np.ndarray:
    return np.stack([numbers, np.zeros_like(numbers), recordings.lengths[numbers]], axis=1)


def _blocks(segments: np.ndarray, rows: int) -> np.ndarray:
    """Segments cut into blocks of ``rows`` rows; a shorter rest stays with its last block."""
    blocks = []
    for number, start, stop in segments.tolist():
        bounds = [*range(start, max(start, stop - rows) + 1, rows), stop]
        blocks += [(number, a, b) for a, b in itertools.pairwise(bounds)]
    return np.array(blocks, dtype=np.int64)


def _by_time(recordings: Recordings, segments: np.ndarray, parts: Mapping[str, float]) -> Segments:
    """Train, then val, then test in each segment; ``parts`` are shares of what the ones after them leave."""
    found: dict[str, list[tuple[int, int, int]]] = {split: [] for split in ("train", *parts)}
    for number, start, stop in segments.tolist():
        end = stop
        for split, share in parts.items():
            begin = start + round((end - start) * (1 - share))
            if begin in (start, end):
                raise InputError(
                    f"{recordings.source}: {recordings.names[number]} has {stop - start} rows, too few for "
                    "dataset.split_type=within_files"
                )
            found[split].append((number, begin, end))
            end = begin
        found["train"].append((number, start, end))
    return {split: np.array(rows, dtype=np.int64) for split, rows in found.items()}


def _deal(
    recordings: Recordings, numbers: np.ndarray, groups: np.ndarray | None, share: float, seed: int, split: str
) -> tuple[np.ndarray, np.ndarray]:
    """Places to keep and to take of ``numbers``: stratified by class, and with no group in both."""
    y = recordings.labels[numbers]
    if groups is not None:
        return _deal_groups(recordings.source, y, groups, share, seed)
    single = np.flatnonzero(np.bincount(y)[y] == 1)
    rest = np.flatnonzero(np.bincount(y)[y] > 1)
    if not len(rest):
        raise InputError(
            f"{recordings.source}: every class has one recording, which leaves none for {split}; "
            "dataset.split_type=within_files divides recordings by time"
        )
    try:
        kept, taken = train_test_split(rest, test_size=share, stratify=y[rest], random_state=seed)
    except ValueError:  # fewer than one of each class: take one of each
        kept, taken = _deal_few(y, rest, share, seed)
    return np.sort(np.concatenate([kept, single])), np.sort(taken)


def _deal_few(y: np.ndarray, places: np.ndarray, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    taken: list[int] = []
    for label in np.unique(y[places]):
        own = places[y[places] == label]
        taken += random.permutation(own)[: min(len(own) - 1, max(1, round(share * len(own))))].tolist()
    return np.setdiff1d(places, taken), np.array(taken)


def _deal_groups(
    source: str, y: np.ndarray, groups: np.ndarray, share: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """The best of many random choices of groups: no class lost, then shares of the classes near to ``share``."""
    names, where = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        raise InputError(
            f"{source}: {len(names)} group cannot be divided; at least 2 are needed, and 3 with a test split"
        )
    counts = np.zeros((len(names), y.max() + 1))
    np.add.at(counts, (where, y), 1)
    counts = counts[:, counts.sum(0) > 0]
    total, num_taken = counts.sum(0), min(len(names) - 1, max(1, round(share * len(names))))
    random = np.random.default_rng(seed)
    choices = [random.permutation(len(names))[:num_taken] for _ in range(_CHOICES)]

    def badness(choice: np.ndarray) -> tuple[int, int, float]:
        taken = counts[choice].sum(0)
        return int((taken == total).sum()), int((taken == 0).sum()), float(np.abs(taken / total - share).mean())

    is_taken = np.isin(where, min(choices, key=badness))
    return np.flatnonzero(~is_taken), np.flatnonzero(is_taken)


def _refuse_overlap(recordings: Recordings, segments: Segments, source: str) -> None:
    rows = [(number, start, stop, split) for split in segments for number, start, stop in segments[split].tolist()]
    rows.sort()
    for before, after in itertools.pairwise(rows):
        if before[0] == after[0] and after[1] < before[2]:
            where = before[3] if before[3] == after[3] else f"{before[3]} and in {after[3]}"
            raise InputError(f"{source}: rows of {recordings.names[before[0]]} stand twice, in {where}; allowed: once")


def _leaks(recordings: Recordings, segments: Segments) -> list[str]:
    """A sentence if neighbouring blocks of one recording were dealt at random into different splits."""
    where: dict[int, list[tuple[int, str]]] = {}
    for split, rows in segments.items():
        for number, start, _ in rows.tolist():
            where.setdefault(number, []).append((start, split))
    mixed = []
    for number, parts in where.items():
        order = [split for _, split in sorted(parts)]
        if sum(a != b for a, b in itertools.pairwise(order)) >= len(set(order)) > 1:
            mixed.append(recordings.names[number])
    if not mixed:
        return []
    return [
        f"{len(mixed)} recordings, the first {mixed[0]}, are in several splits at random, so that test figures are too "
        "good; dataset.split_type=amongst_files keeps each in one"
    ]


def _divided_groups(recordings: Recordings, segments: Segments) -> list[str]:
    """A sentence if recordings of one group were divided among splits, which ``within_files`` does to all."""
    if recordings.groups is None:
        return []
    where: dict[str, set[str]] = {}
    for split, rows in segments.items():
        for number in rows[:, 0].tolist():
            where.setdefault(recordings.groups[number], set()).add(split)
    divided = sorted(group for group, splits in where.items() if len(splits) > 1)
    if not divided:
        return []
    return [
        f"{len(divided)} groups, the first {divided[0]}, are in several splits; dataset.split_type=by_group keeps each "
        "in one"
    ]


def _duplicates(recordings: Recordings, segments: Segments) -> list[str]:
    """A sentence if the same rows are in two splits."""
    seen: dict[bytes, tuple[str, int]] = {}
    pairs = []
    for split in SPLITS:
        for number, start, stop in segments[split].tolist():
            begin = int(recordings.starts[number])
            rows = recordings.values[begin + start : begin + stop].numpy()
            key = hashlib.blake2b(rows.tobytes(), digest_size=16).digest()
            other, first = seen.setdefault(key, (split, number))
            if other != split:
                pairs.append(f"{recordings.names[number]} of {split} is {recordings.names[first]} of {other}")
    return [f"{len(pairs)} recordings are in two splits, the first: {pairs[0]}"] if pairs else []
