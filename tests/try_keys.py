"""Every key of the configuration with values that somebody could write there, each as a whole run of the command line.

    python tests/try_keys.py --values null,0,-1,1000000000,abc,[1,2],nan --processes 2 > outcomes.jsonl

The keys are those of ``tests/config_keys.py``, found by listing. Prints one JSON line a case: how it ended (``done``,
``refused`` in one sentence, ``wrong``), the processor seconds and the last line of the terminal; at the end the counts.
The exit status is 1 if one is wrong: a traceback, another exit status than 0, 2 and 3, a refusal that takes 3 seconds
of the processor, or a run without an end. Children are forked from a process that has imported everything, so that the
start of Python is not in the times. A null where null stands already is left out, and of a key of one stage the other
stage is not run.
"""

import argparse
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import torch
from config_keys import FEATURES, MORE_VALUES, VALUES, front_end_places, is_long, is_null, places, write_data

from nas_lightning.__main__ import main

REFUSAL_SECONDS, RUN_SECONDS = 3.0, 120.0
MOST_MEMORY = 12 << 30
SHORT = {
    "training.nas_epochs": "1",
    "training.training_epochs": "1",
    "training.batch_size": "4",
    "selection.candidates": "1",
    "control.num_random": "0",
    "export.int8": "false",
    "callbacks": "none",
    "logger": "none",
}
NOT_SHORT = {
    "export": ("export.int8",),
    "control": ("control.num_random",),
    "callbacks": ("callbacks", "logger"),
    "logger": ("logger",),
    "selection": ("selection.candidates",),
}
"""What is left at its default where a key of the section is tried, because the key would not be looked at."""

ONE_STAGE = dict.fromkeys(
    ("optimizer", "scheduler", "dataset", "data", FEATURES, "augmentation"), "training.nas_enabled"
)
ONE_STAGE |= {"search": "training.enable", "space": "training.enable"}
"""The stage that is left out where a key is of the other one."""


def arguments(place, value, paths):
    """The command line of a case."""
    section = place.key.split(".")[0]
    left = NOT_SHORT.get(section, ())
    fixed = {key: text for key, text in SHORT.items() if key != place.key and key not in left}
    fixed["dataset.input_data_path"] = str(paths["long" if is_long(place) else "short"])
    if section in ONE_STAGE:
        fixed[ONE_STAGE[section]] = "false"
    given = {each.partition("=")[0] for each in place.base}
    short = [f"{key}={text}" for key, text in fixed.items() if key != place.key and key not in given]
    return [*short, *place.base, place.override(value), "hydra.run.dir=run"]


def run_child(command, folder):
    """The command line, in a folder of its own, with its terminal in a file; does not return."""
    os.chdir(folder)
    terminal = os.open("terminal", os.O_WRONLY | os.O_CREAT)
    os.dup2(terminal, 1)
    os.dup2(terminal, 2)
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    sys.argv = ["nas-lightning", *command]
    status = 1
    try:
        main()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def judge(status, seconds, terminal):
    """How a case ended."""
    is_sentence = terminal.rstrip().rpartition("\n")[2].startswith("error: ") and "Traceback" not in terminal
    if status == 0 and "Traceback" not in terminal:
        return "done"
    if status in (2, 3) and is_sentence:
        # What a run finds out on its way, as that it diverges, takes longer.
        return "refused" if seconds < REFUSAL_SECONDS or "diverged" in terminal else "wrong"
    return "wrong"


def try_all(cases, processes, folder):
    """Run all cases, several at a time; yields a record of each when it ends."""
    paths, running, left = write_data(folder), {}, list(reversed(cases))
    while left or running:
        while left and len(running) < processes:
            place, value = left.pop()
            own = Path(tempfile.mkdtemp(dir=folder))
            if not (pid := os.fork()):
                run_child(arguments(place, value, paths), own)
            running[pid] = place, value, own, time.monotonic()
        pid, status, used = os.wait4(-1, os.WNOHANG)
        if not pid:
            for each, (*_, begin) in running.items():
                if time.monotonic() - begin > RUN_SECONDS:
                    os.kill(each, signal.SIGKILL)
            time.sleep(0.01)
            continue
        place, value, own, _ = running.pop(pid)
        terminal = (own / "terminal").read_text(encoding="utf-8", errors="replace")
        seconds, code = used.ru_utime + used.ru_stime, os.waitstatus_to_exitcode(status)
        outcome = judge(code, seconds, terminal)
        last = terminal.rstrip()[-2000 if outcome == "wrong" else -300 :]
        last = last if outcome == "wrong" else last.rpartition("\n")[2]
        yield {
            "case": f"{place.name}={value}",
            "outcome": outcome,
            "status": code,
            "seconds": round(seconds, 2),
            "last": last,
        }
        shutil.rmtree(own)


def run():
    """Read the command line of this script, and print what became of the cases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--values", default=",".join((*VALUES, "0")), help="separated by commas outside of brackets")
    parser.add_argument("--all", action="store_true", help="all values that the tests know, instead")
    parser.add_argument(
        "--front-end", action="store_true", help="the keys of the front end, with its steps switched on"
    )
    parser.add_argument("--only", default="", help="a part of the name of a case")
    parser.add_argument("--processes", type=int, default=1)
    given = parser.parse_args()
    values = (*VALUES, *MORE_VALUES) if given.all else given.values.replace("[1,2]", "[1;2]").split(",")
    chosen = front_end_places() if given.front_end else places()
    cases = [(place, value.replace(";", ",")) for value in values for place in chosen if given.only in place.name]
    cases = [(place, value) for place, value in cases if not (value == "null" and is_null(place))]
    torch.set_num_threads(1)
    counts = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for record in try_all(cases, given.processes, Path(folder)):
            counts[record["outcome"]] += 1
            print(json.dumps(record), flush=True)
    print(json.dumps({"cases": len(cases), **counts}))
    return 1 if counts["wrong"] else 0


if __name__ == "__main__":
    sys.exit(run())
