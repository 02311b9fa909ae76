"""The program in processes of its own."""

import signal
import subprocess
import sys
from functools import partial


def launch(*arguments, folder, environment=None):
    """Start the program in a folder; its environment is that of the test, or the one that is given."""
    command = [sys.executable, "-m", "nas_lightning", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    # What is started in the background ignores interrupts, and so would all that it starts.
    heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    return subprocess.Popen(command, cwd=folder, text=True, env=environment, preexec_fn=heed, **pipes)


def ended(process):
    """Wait for its end: exit status, stdout and stderr."""
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err
