import subprocess
import sys

import numpy as np
import pytest
import torch

from nas_lightning.errors import DamagedFileError, InputError
from nas_lightning.files import (
    has_ended,
    read_as,
    read_json,
    read_torch,
    read_yaml,
    write_json,
    write_torch,
)


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "x.json"
    write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="Out of range float"):
        write_json(path, {"a": float("nan")})
    assert read_json(path) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_a_run_has_ended_when_its_metrics_have_a_training(tmp_path):
    assert not has_ended(tmp_path)
    write_json(tmp_path / "metrics.json", {"search": {}})
    assert not has_ended(tmp_path)
    write_json(tmp_path / "metrics.json", {"search": {}, "training": {}})
    assert has_ended(tmp_path)


def test_a_write_that_fails_leaves_nothing_and_names_the_file(tmp_path):
    """As on a full disk: the size of files is limited, in a process of its own."""
    code = (
        "import pathlib, resource, signal\nfrom nas_lightning.files import write_bytes\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\nresource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "path = pathlib.Path('kept')\nwrite_bytes(path, b'a' * 900)\n"
        "try:\n    write_bytes(path, b'b' * 2000)\n"
        "except OSError as error:\n    print(error.filename, error.strerror)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "kept File too large\n"
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("kept", b"a" * 900)]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"3", b"null", b"\xff\xfe", b'{"a": NaN' + b"[" * 100_000])
def test_json_that_is_damaged_is_named(tmp_path, content):
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(DamagedFileError, match=r"x\.json: cannot be read; it is damaged or another kind of file \("):
        read_json(path)
    with pytest.raises(DamagedFileError):
        read_json(tmp_path)


def test_what_cannot_be_made_of_json_is_named_by_its_file(tmp_path):
    path = tmp_path / "x.json"
    write_json(path, {"a": 1})
    assert read_as(path, lambda content: content["a"]) == 1
    with pytest.raises(DamagedFileError, match=r"x\.json: .*\('b'\)"):
        read_as(path, lambda content: content["b"])

    def refuse(content):
        raise InputError("a: found 1; allowed: 2")

    with pytest.raises(InputError, match=r"x\.json: a: found 1; allowed: 2$"):
        read_as(path, refuse)
    write_json(path, [1])
    assert read_as(path, sum, list) == 1


def test_yaml_has_sections_of_a_size(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("a: &x [1, 2]\nb: *x\n")
    assert read_yaml(path) == {"a": [1, 2], "b": [1, 2]}
    aliases = "a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
        f"a{n}: &a{n} [{','.join(f'*a{n - 1}' for _ in range(10))}]\n" for n in range(1, 9)
    )
    for text in (aliases, "a: " + "[" * 3000, "a: !!python/name:os.system", "- a", "a", "", "x" * (1 << 20 | 1), "\0"):
        path.write_text(text)
        with pytest.raises(InputError, match=r"x\.yaml: (is not YAML|has no sections|has 1,048,577 bytes)"):
            read_yaml(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_yaml(tmp_path / "none.yaml")


def test_every_bit_of_saved_tensors_counts(tmp_path):
    """Of 200 places at random a changed one is found, or changes nothing that is read."""
    path, random = tmp_path / "x.pt", np.random.default_rng(0)
    content = {"w": torch.arange(500.0), "n": 3}
    write_torch(path, content)
    whole = path.read_bytes()
    found = 0
    for place in random.integers(len(whole), size=200).tolist():
        damaged = bytearray(whole)
        damaged[place] ^= 1 << random.integers(8)
        path.write_bytes(bytes(damaged))
        try:
            read = read_torch(path)
        except DamagedFileError:
            found += 1
        else:
            assert torch.equal(read["w"], content["w"])
            assert read["n"] == 3
    assert found > 100
