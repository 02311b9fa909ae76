"""Programs within limits: real ones, that take more than they may."""

import sys
import threading
import time

import numpy as np
import pytest

from nas_lightning.errors import ParityError, printable
from nas_lightning.export.host import host_program, missing_tools
from nas_lightning.export.limits import LimitError, Limits, run_limited, time_limit

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no limits on Windows")


def python(code, folder, limits=None, **more):
    return run_limited([sys.executable, "-c", code], folder, limits or Limits(), **more)


def test_what_goes_in_comes_out(tmp_path):
    code = "import sys; data = sys.stdin.buffer.read(); print(len(data), data[-1]); sys.exit('to the errors')"
    done = python(code, tmp_path, given=bytes(100_000) + b"x")
    assert (done.status, done.output, done.errors) == (1, b"100001 120\n", b"to the errors\n")
    assert done.why() == "to the errors"
    done = python("import sys; print('a', flush=True); sys.exit('b')", tmp_path, together=True)
    assert done.output == b"a\nb\n"
    assert done.why() == "a b"


def test_it_gets_nothing_of_the_environment_but_path(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET", "1")
    monkeypatch.setenv("LD_PRELOAD", "")
    done = python("import os; print(*sorted(os.environ), os.getcwd())", tmp_path, environment={"MORE": "2"})
    names = set(done.output.decode().split())
    assert names - {"PWD", "_", "LC_CTYPE", "SHLVL", "OLDPWD"} == {
        *("PATH", "TMPDIR", "TEMP", "LC_ALL", "MORE"),
        str(tmp_path),
    }


def test_what_takes_too_long_is_ended_with_all_that_it_started(tmp_path):
    child = "import time, pathlib; time.sleep(1); pathlib.Path('late').touch()"
    code = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {child!r}]); time.sleep(60)"
    start = time.monotonic()
    with pytest.raises(LimitError, match=r"^it did not end within 0\.5 seconds$"):
        python(code, tmp_path, Limits(seconds=0.5))
    assert time.monotonic() - start < 30
    time.sleep(2)  # longer than the child would have waited
    assert not (tmp_path / "late").exists()


def test_what_is_left_behind_is_ended_too(tmp_path):
    child = "import time, pathlib; time.sleep(1); pathlib.Path('late').touch()"
    assert python(f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {child!r}])", tmp_path).status == 0
    time.sleep(2)  # longer than the child would have waited
    assert not (tmp_path / "late").exists()


def test_processor_time_is_limited(tmp_path):
    done = python("while True: pass", tmp_path, Limits(cpu_seconds=1))
    assert done.why() == "it needed more processor time than it may have"


def test_memory_is_limited(tmp_path):
    assert python("bytearray(1 << 30)", tmp_path).status == 0
    done = python("bytearray(1 << 30)", tmp_path, Limits(memory_bytes=1 << 29))
    assert "MemoryError" in done.why()


@pytest.mark.parametrize("where", ["sys.stdout.buffer", "open('file', 'wb')"])
def test_output_and_files_are_limited(where, tmp_path):
    code = (
        f"import signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_DFL)\nwith {where} as f: f.write(bytes(1 << 22))"
    )
    assert python(code, tmp_path).status == 0
    done = python(code, tmp_path, Limits(file_bytes=1 << 20))
    assert done.why() == "it wrote more than it may"
    assert len(done.output) <= 1 << 20
    assert all(path.stat().st_size <= 1 << 20 for path in tmp_path.iterdir())


@pytest.mark.skipif(bool(missing_tools()), reason="there is no gcc or make")
def test_memory_of_a_program_with_sanitizers_is_limited(tmp_path):
    """The address sanitizer reserves terabytes; it watches itself what is used."""
    (tmp_path / "Makefile").write_text("check:\n\tgcc -mcmodel=medium -fsanitize=address fill.c -o $(BUILD)/check\n")
    (tmp_path / "fill.c").write_text(
        "#include <unistd.h>\nstatic char all[6000000000u];\nint main(void)\n{\n"
        "    for (unsigned long i = 0; i < sizeof all; i += 4096) {\n        all[i] = 1;\n"
        "        if (i % 400000000 < 4096) { usleep(100000); }\n    }\n    return 0;\n}\n"
    )
    with host_program(tmp_path, "model.c") as program, pytest.raises(ParityError, match="hard rss limit exhausted"):
        program(np.zeros((1, 1), np.float32))


def run_for_ever():
    while True:
        pass


def test_python_code_is_stopped_in_time():
    with pytest.raises(LimitError, match=r"^it did not end within 0\.2 seconds$"), time_limit(0.2):
        run_for_ever()
    with time_limit(0.1):
        pass
    time.sleep(0.2)  # the alarm is off


def test_outside_of_the_main_thread_python_code_is_not_stopped():
    ended = []

    def run():
        with time_limit(0.01):
            time.sleep(0.05)
            ended.append(True)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert ended == [True]


def test_what_is_printed_cannot_command_a_terminal():
    assert printable("a\x1b[31m\x07\u202eb\tc\n") == "a?[31m??b\tc\n"
