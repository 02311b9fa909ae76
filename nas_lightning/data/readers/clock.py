"""Clocks: which column is the time, in which unit, how fast it runs, and where it stops or falls back."""

import re

_TIME_WORDS = frozenset(("time", "times", "timestamp", "timestamps", "datetime"))


def is_time(name: str) -> bool:
    """Whether a name of a column is that of a time: one of its words is.

    >>> [is_time(name) for name in ("time_ms", "Time (s)", "sensorTimestamp", "altimeter", "runtime")]
    [True, True, True, False, False]
    """
    words = re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower())
    return any(word in _TIME_WORDS for word in words)
