"""Random damage to good files of every format: a reader reads it or refuses it in one sentence, and never hangs.

    python tests/fuzz_readers.py --inputs 100000

Prints one JSON line: inputs read and refused, by format, and the slowest one. An input that ends otherwise is printed
by Hypothesis, made as small as it can, and the exit status is 1.
"""

import argparse
import faulthandler
import json
import shutil
import signal
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from recording_files import EQUAL_LENGTH, FORMATS, ONE_CHANNEL, make_recordings

from nas_lightning.data.collect import collect
from nas_lightning.data.readers import open_source
from nas_lightning.data.reading import AXES, CLOCK_POLICIES, DECIMALS, DELIMITERS, ENDS, TIME_UNITS, Reading
from nas_lightning.errors import InputError

TIMEOUT_SECONDS = 20
TOKENS = (
    b"", b",", b";", b"\t", b"\n", b"\r", b" ", b'"', b":", b"?", b"NaN", b"inf", b"-", b"1e999", b"0x1", b"time",
    b"@data", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"PK\x03\x04", b"../", b"%", b"{", b"}", b"[", b"]", b"9" * 400,
    b"\xf0\x9f\x98\x80", b"sep=;\n", b"# ", b"65535", b"4294967295", b"-1", b"0,1,2\n", b"m/s2", b"label", b"test",
    b"2024-03-31T02:59:59.98+01:00", b"31.12.2023 23:59:59", b"12/11/2024 11:59 pm", b"23:59:59,5",
)  # fmt: skip
READINGS = (
    *[Reading()] * 12,
    *(Reading(**{"variables": variables}) for variables in (1, [0], ["ch0"])),
    *(Reading(header=header, skip_rows=skip) for header in (None, True, False) for skip in (None, 1)),
    *(Reading(delimiter=name) for name in DELIMITERS),
    *(Reading(decimal=name) for name in DECIMALS),
    *(Reading(time_unit=unit, clock=clock) for unit in TIME_UNITS for clock in CLOCK_POLICIES),
    *(Reading(recording_ends=end, day_first=end == "gap") for end in ENDS),
    *(Reading(axes=axes, npy_time=is_time) for axes in AXES for is_time in (True, False)),
    *(Reading(series_per_line=is_line) for is_line in (True, False)),
    *(Reading(levels=levels) for levels in (["class"], ["any", "class"], ["group", "class"], ["class", "any"])),
    Reading(label_pattern="^[^._-]+"),
    Reading(gaps="keep", similar_labels="merge", offset=1),
)
"""What a user may say of a source; mostly nothing."""

PLACE = st.floats(0, 1, allow_nan=False)
EDIT = st.one_of(
    st.tuples(st.just("insert"), PLACE, st.one_of(st.sampled_from(TOKENS), st.binary(max_size=12))),
    st.tuples(st.just("replace"), PLACE, st.one_of(st.sampled_from(TOKENS), st.binary(max_size=12))),
    st.tuples(st.just("cut"), PLACE, PLACE),
    st.tuples(st.just("repeat"), PLACE, PLACE),
    st.tuples(st.just("truncate"), PLACE, st.just(b"")),
)


def damage(content, edits):
    """``content`` after ``edits``: what happens, where (as a share of the length), and with what."""
    for kind, place, what in edits:
        at = int(place * len(content))
        if kind == "insert":
            content = content[:at] + what + content[at:]
        elif kind == "replace":
            content = content[:at] + what + content[at + len(what) :]
        elif kind == "truncate":
            content = content[:at]
        else:
            first, last = sorted((at, int(what * len(content))))
            content = content[:first] + (content[first:last] * 2 if kind == "repeat" else b"") + content[last:]
    return content


class Samples:
    """A good file or folder of each format, and copies of it in which one file is damaged."""

    def __init__(self, root):
        self.root, self.paths = Path(root), {}
        for name, write in FORMATS.items():
            made = make_recordings(
                (16,) * 12 if name in EQUAL_LENGTH else tuple(range(10, 22)), 1 + (name not in ONE_CHANNEL)
            )
            folder = self.root / "good" / name
            folder.mkdir(parents=True)
            self.paths[name] = Path(write(folder, made)).relative_to(folder)

    def damaged(self, name, place, edits):
        target = self.root / "damaged"
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(self.root / "good" / name, target)
        files = sorted(path for path in target.rglob("*") if path.is_file())
        victim = files[min(int(place * len(files)), len(files) - 1)]
        victim.write_bytes(damage(victim.read_bytes(), edits))
        return target / self.paths[name]


def stop(signum, frame):
    raise TimeoutError(f"a reader took over {TIMEOUT_SECONDS} seconds")


def fuzz(inputs):
    """Run ``inputs`` damaged files through the readers; returns counts by format and outcome, and the slowest time."""
    counts, slowest = Counter(), 0.0
    with tempfile.TemporaryDirectory() as root:
        samples = Samples(root)

        @settings(
            max_examples=inputs,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            derandomize=False,
        )
        @given(
            st.sampled_from(sorted(FORMATS)),
            PLACE,
            st.lists(EDIT, min_size=1, max_size=4),
            st.sampled_from(READINGS),
        )
        def read_damaged(name, place, edits, reading):
            nonlocal slowest
            path = samples.damaged(name, place, edits)
            start = time.perf_counter()
            signal.alarm(TIMEOUT_SECONDS)
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    collect(open_source(None, str(path), reading), reading.variables, reading=reading)
                outcome = "read"
            except InputError as error:
                if "\n" in str(error) or len(str(error)) > 2000:
                    raise AssertionError(f"no sentence: {error!s:.3000}") from error
                outcome = "refused"
            finally:
                signal.alarm(0)
            slowest = max(slowest, time.perf_counter() - start)
            counts[f"{name}: {outcome}"] += 1

        signal.signal(signal.SIGALRM, stop)
        read_damaged()
    return counts, slowest


if __name__ == "__main__":
    faulthandler.enable()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=1000, help="damaged files to read")
    counts, slowest = fuzz(parser.parse_args().inputs)
    outcome = dict(sorted(counts.items()))
    print(json.dumps({"inputs": sum(counts.values()), "slowest_seconds": round(slowest, 2), **outcome}))
