"""Splits into ``train``, ``val`` and ``test``: by recording, by group, by time or by window; never a row in two."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from torch import Tensor

from nas_lightning.data.annotations import SPLITS
from nas_lightning.data.recordings import Lists, Recordings, give_back
from nas_lightning.data.stratified import stratified
from nas_lightning.data.words import Words
from nas_lightning.errors import InputError

SPLIT_TYPES = ("auto", "amongst_files", "by_group", "within_files", "amongst_windows")
"""Whole recordings; whole groups; by time within each recording; windows at random. ``auto``: by group, if known."""

SOURCE, LISTS = "source", "lists"
"""What else can decide a split: the data have it, or lists name its recordings."""

_CHOICES = 500
_CHUNK_VALUES = 1 << 20

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
            f"`split_factor`: found {factors}; allowed: shares of train, val and test above 0 that sum to 1, or "
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
    fixed = recordings.splits or Words(np.zeros(len(recordings), dtype=np.int64), ["train"])
    segments = {split: _whole(recordings, np.flatnonzero(fixed.are(split))) for split in SPLITS}
    rest = segments["train"]
    train, val, test = factors
    shares = {"test": test, "val": val / (train + val)}
    parts = {split: share for split, share in shares.items() if not len(segments[split])}
    if split_type == "amongst_windows":
        if not rows:
            raise InputError("`split_type`: amongst_windows needs frame_size, and neighbouring windows side by side")
        rest = _blocks(rest, rows)
    if split_type == "within_files":
        return segments | _by_time(recordings, rest, parts)
    for split, share in parts.items():
        known = recordings.groups if split_type == "by_group" else None
        groups = None if known is None else known.numbers[rest[:, 0]]
        if split_type == "by_group" and groups is None:
            raise InputError(f"`split_type`: by_group needs groups, which {recordings.source} does not have")
        kept, taken = _deal(recordings, rest[:, 0], groups, share, seed, split)
        segments[split], rest = rest[taken], rest[kept]
    return segments | {"train": rest}


def from_lists(recordings: Recordings, lists: Lists, source: str) -> Segments:
    """The splits that lists name.

    Raises:
        InputError: for an unknown recording, rows that it does not have, or rows in two splits.
    """
    numbers = {name: number for number, name in enumerate(recordings.names)}
    lengths, segments = recordings.lengths, {}
    for split, rows in lists.items():
        found = []
        for name, start, stop in rows:
            if name not in numbers:
                raise InputError(
                    f"{source}: the list of {split} names {name!r}, which {recordings.source} does not hold"
                )
            length = int(lengths[numbers[name]])
            last = length if stop is None else stop
            if not 0 <= start < last <= length:
                raise InputError(
                    f"{source}: the list of {split} asks for rows {start} to {last} of {name}, which has {length}"
                )
            found.append((numbers[name], start, last))
        segments[split] = np.array(found, dtype=np.int64).reshape(-1, 3)
    _refuse_overlap(recordings, segments, source)
    return segments


def to_lists(recordings: Recordings, segments: Segments) -> dict[str, Iterator[tuple[str, int, int | None]]]:
    """What ``from_lists`` reads back, made while it is asked for; whole recordings are named alone."""
    return {split: _named(recordings, rows) for split, rows in segments.items()}


def _named(recordings: Recordings, segments: np.ndarray) -> Iterator[tuple[str, int, int | None]]:
    is_whole = (segments[:, 1] == 0) & (segments[:, 2] == recordings.lengths[segments[:, 0]])
    for row, whole in zip(segments, is_whole, strict=True):
        number, start, stop = row.tolist()
        yield recordings.names[number], start, None if whole else stop


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
        present = set(np.unique(recordings.labels[segments[split][:, 0]]).tolist())
        lost = [name for number, name in enumerate(recordings.label_names) if number not in present]
        if split == "train":
            lost = [name for name in lost if name in recordings.known_names]
        if lost and split == "train":
            raise InputError(f"{recordings.source}: the split leaves no training sample of the classes {lost}")
        if lost:
            notes.append(f"the {split} split has no sample of {', '.join(lost)}")
    return (
        notes + _leaks(recordings, segments) + _divided_groups(recordings, segments) + _duplicates(recordings, segments)
    )


def _rules(recordings: Recordings, split_type: str) -> dict[str, str]:
    """What decided each split; one that the source has stays, and only the rest is divided."""
    if split_type == LISTS or recordings.lists is not None:
        return dict.fromkeys(SPLITS, LISTS)
    if split_type == "auto":
        split_type = "amongst_files" if recordings.groups is None else "by_group"
    fixed = recordings.splits
    given = {split for split in SPLITS[1:] if fixed is not None and fixed.are(split).any()}
    rules = {split: SOURCE if split in given else split_type for split in SPLITS[1:]}
    return {"train": SOURCE if given == rules.keys() else split_type, **rules}


def report(recordings: Recordings, segments: Segments, split_type: str) -> dict[str, Any]:
    """By split: what decided it, recordings, rows, recordings of each class, and groups.

    Args:
        recordings: R recordings.
        segments: the splits.
        split_type: one of ``SPLIT_TYPES``, or ``LISTS`` if such were given.
    """
    rules = _rules(recordings, split_type)
    content: dict[str, Any] = {}
    for split, rows in segments.items():
        counts = np.bincount(recordings.labels[rows[:, 0]], minlength=len(recordings.label_names))
        content[split] = {
            "rule": rules[split],
            "recordings": len(np.unique(rows[:, 0])),
            "rows": int((rows[:, 2] - rows[:, 1]).sum()),
            "classes": dict(zip(recordings.label_names, counts.tolist(), strict=True)),
        }
        if recordings.groups is not None:
            content[split]["groups"] = sorted(recordings.groups.taken(rows[:, 0]).present)
    return content


def _whole(recordings: Recordings, numbers: np.ndarray) -> np.ndarray:
    return np.stack([numbers, np.zeros_like(numbers), recordings.lengths[numbers]], axis=1)


def _blocks(segments: np.ndarray, rows: int) -> np.ndarray:
    """Segments cut into blocks of ``rows`` rows; a shorter rest stays with its last block."""
    numbers, starts, stops = segments.T
    counts = np.maximum(0, stops - rows - starts) // rows + 1
    where = np.repeat(np.arange(len(segments)), counts)
    ends = np.cumsum(counts)
    begins = starts[where] + (np.arange(len(where)) - (ends - counts)[where]) * rows
    behind = begins + rows
    behind[ends - 1] = stops
    return np.stack([numbers[where], begins, behind], axis=1)


def _by_time(recordings: Recordings, segments: np.ndarray, parts: Mapping[str, float]) -> Segments:
    """Train, then val, then test in each segment; ``parts`` are shares of what the ones after them leave."""
    numbers, starts, stops = segments.T
    ends, found = stops, {}
    too_short = np.zeros(len(segments), dtype=bool)
    for split, share in parts.items():
        begins = starts + np.rint((ends - starts) * (1 - share)).astype(np.int64)
        too_short |= (begins == starts) | (begins == ends)
        found[split] = np.stack([numbers, begins, ends], axis=1)
        ends = begins
    if too_short.any():
        first = int(np.argmax(too_short))
        raise InputError(
            f"{recordings.source}: {recordings.names[numbers[first]]} has {stops[first] - starts[first]} rows, too few "
            "for `split_type`=within_files"
        )
    return {"train": np.stack([numbers, starts, ends], axis=1), **found}


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
            "`split_type`=within_files divides recordings by time"
        )
    try:
        kept, taken = (rest[places] for places in stratified(y[rest], share, seed))
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
    choices = (random.permutation(len(names))[:num_taken] for _ in range(_CHOICES))

    def badness(choice: np.ndarray) -> tuple[int, int, float]:
        taken = counts[choice].sum(0)
        return int((taken == total).sum()), int((taken == 0).sum()), float(np.abs(taken / total - share).mean())

    is_taken = np.isin(where, min(choices, key=badness))
    return np.flatnonzero(~is_taken), np.flatnonzero(is_taken)


def _refuse_overlap(recordings: Recordings, segments: Segments, source: str) -> None:
    names = sorted(segments)
    rows = np.concatenate([np.insert(segments[split], 3, names.index(split), axis=1) for split in segments])
    rows = rows[np.lexsort(rows.T[::-1])]
    before, after = rows[:-1], rows[1:]
    twice = np.flatnonzero((before[:, 0] == after[:, 0]) & (after[:, 1] < before[:, 2]))
    if len(twice):
        number, one, other = int(before[twice[0], 0]), names[before[twice[0], 3]], names[after[twice[0], 3]]
        where = one if one == other else f"{one} and in {other}"
        raise InputError(f"{source}: rows of {recordings.names[number]} stand twice, in {where}; allowed: once")


def _leaks(recordings: Recordings, segments: Segments) -> list[str]:
    """A sentence if neighbouring blocks of one recording were dealt at random into different splits."""
    owners = np.concatenate([rows[:, 0] for rows in segments.values()])
    starts = np.concatenate([rows[:, 1] for rows in segments.values()])
    splits = np.repeat(np.arange(len(segments)), [len(rows) for rows in segments.values()])
    order = np.lexsort((splits, starts, owners))
    is_same = owners[order][1:] == owners[order][:-1]
    changes = is_same & (splits[order][1:] != splits[order][:-1])
    num_changes = np.bincount(owners[order][1:][changes], minlength=len(recordings))
    has = np.zeros((len(segments), len(recordings)), dtype=bool)
    has[splits, owners] = True
    num_splits = has.sum(0)
    mixed = (num_splits > 1) & (num_changes >= num_splits)
    if not mixed.any():
        return []
    first = int(owners[mixed[owners]][0])
    return [
        f"{int(mixed.sum())} recordings, the first {recordings.names[first]}, are in several splits at random, so that "
        "test figures are too good; `split_type`=amongst_files keeps each in one"
    ]


def _divided_groups(recordings: Recordings, segments: Segments) -> list[str]:
    """A sentence if recordings of one group were divided among splits, which ``within_files`` does to all."""
    if recordings.groups is None:
        return []
    has = np.zeros((len(segments), len(recordings.groups.words)), dtype=bool)
    for split, rows in enumerate(segments.values()):
        has[split, recordings.groups.numbers[rows[:, 0]]] = True
    divided = np.flatnonzero(has.sum(0) > 1)
    if not len(divided):
        return []
    return [
        f"{len(divided)} groups, the first {recordings.groups.words[divided[0]]}, are in several splits; "
        "`split_type`=by_group keeps each in one"
    ]


def _duplicates(recordings: Recordings, segments: Segments) -> list[str]:
    """A sentence if the same rows are in two splits."""
    seen: dict[bytes, tuple[str, int]] = {}
    pairs, first = 0, ""
    rows = np.concatenate([segments[split] for split in SPLITS])
    splits = np.repeat(np.arange(len(SPLITS)), [len(segments[split]) for split in SPLITS])
    for place in _alike(recordings, rows):
        number, start, stop = rows[place].tolist()
        split = SPLITS[splits[place]]
        begin = int(recordings.starts[number])
        content = recordings.values[begin + start : begin + stop].numpy()
        key = hashlib.blake2b(content.tobytes(), digest_size=16).digest()
        other, original = seen.setdefault(key, (split, number))
        if other != split:
            pairs += 1
            first = first or f"{recordings.names[number]} of {split} is {recordings.names[original]} of {other}"
    return [f"{pairs} recordings are in two splits, the first: {first}"] if pairs else []


def _alike(recordings: Recordings, segments: np.ndarray) -> np.ndarray:
    """Places of the segments that may be equal to another one, in order."""
    numbers, firsts, stops = segments.T
    begins, lengths = recordings.starts[numbers] + firsts, stops - firsts
    found = []
    for length, count in zip(*np.unique(lengths, return_counts=True), strict=True):
        if count > 1:
            places = np.flatnonzero(lengths == length)
            keys = _keys(recordings.values, begins[places], int(length))
            _, where, counts = np.unique(keys, return_inverse=True, return_counts=True)
            found.append(places[counts[where] > 1])
    return np.sort(np.concatenate(found)) if found else np.empty(0, dtype=np.int64)


def _keys(values: Tensor, begins: np.ndarray, length: int) -> np.ndarray:
    """A number for each segment, equal where the first rows are: the bits of its values times random factors, summed.

    A loop over a million segments would take most of the time between reading and the first step.
    """
    channels = values.shape[1]
    size = min(length, max(1, _CHUNK_VALUES // channels)) * channels
    segments = sliding_window_view(values.numpy().ravel(), size)
    factors = np.random.default_rng(0).integers(1 << 63, size=(size + 1) // 2, dtype=np.uint64) * 2 + 1
    keys = []
    for part in np.array_split(begins, -(-len(begins) * size // _CHUNK_VALUES)):
        pairs = np.zeros((len(part), 2 * len(factors)), dtype=np.float32)
        pairs[:, :size] = segments[part * channels]
        bits = pairs.view(np.uint64)
        keys.append(((bits ^ (bits >> 32)) * factors).sum(1))
        give_back(values)
    return np.concatenate(keys)
