"""The built wheel runs from any folder, without the checkout."""

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from nas_lightning.kernels.build import why_not_native

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_wheel_runs_from_any_folder(tmp_path):
    """A fresh environment gets the wheel alone; its dependencies are those that are installed here."""
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", wheel], check=True, capture_output=True)
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip())
    # Listed in a .pth file, the folder is searched, but the .pth of the editable install in it is not read.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    (tmp_path / "elsewhere").mkdir()
    elsewhere = {
        "cwd": tmp_path / "elsewhere",
        "env": {key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
        "capture_output": True,
        "text": True,
        "check": False,
    }
    program = tmp_path / "env" / "bin" / "nas-lightning"
    done = subprocess.run([program, "nas_model_size=s", "experiment=quick", "hydra.run.dir=run"], **elsewhere)
    assert done.returncode == 0, done.stderr
    launcher = ["hydra/launcher=ray", "hydra.launcher.retries=-1"]
    done = subprocess.run([program, "-m", "seed=0,1", *launcher], **elsewhere)
    assert done.stderr.startswith("error: hydra.launcher.retries: found -1"), done.stderr
    assert (tmp_path / "elsewhere" / "run" / "model.onnx").is_file()
    log = (tmp_path / "elsewhere" / "run" / "run.log").read_text()
    assert ("native kernels" in log) == (why_not_native() is None)
    where = subprocess.run([python, "-c", "import nas_lightning; print(nas_lightning.__file__)"], cwd="/", **{
        "capture_output": True, "text": True, "check": True,
    })  # fmt: skip
    assert where.stdout.startswith(str(site))
