import pytest

from nas_lightning.files import has_ended, read_json, write_json


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
