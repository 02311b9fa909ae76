import importlib
import pkgutil
import re

import pytest
import yaml
from hydra.utils import get_object

import nas_lightning
from nas_lightning.config import targets
from nas_lightning.config.compose import conf_dir
from nas_lightning.config.targets import check_targets, trust_config_dir
from nas_lightning.errors import InputError

OF_HYDRA = conf_dir() / "hydra"  # launchers, which Hydra makes
CONF = sorted(p for p in conf_dir().rglob("*.yaml") if "_target_" in p.read_text() and OF_HYDRA not in p.parents)

REFUSED = [
    "os.system", "subprocess.run", "sympy.sympify", "joblib.load", "pandas.read_pickle", "builtins.eval", "eval",
    "nas_lightning.export.host.make", "nas_lightning.files.write_text", "nas_lightning.runs.folder.load",
    "nas_lightning.runs.verify.verify", "nas_lightning.search.strategy.importlib.import_module",
    "nas_lightning.search.relaxation.torch.load", "nas_lightning.search.penalties.Tensor",
    "torch.load", "torch.hub.load", "torch.optim.swa_utils.torch.load", "torch.optim.optimizer.Optimizer.load",
    "torch.optim.Adam.load_state_dict", "torch.optim.lr_scheduler.partial", "torch.optim.lr_scheduler.warnings.warn",
    "lightning.pytorch.callbacks.os.system", "lightning.pytorch.loggers.os.system", "lightning.pytorch.cli_main",
    "lightning.pytorch.callbacks.Callback.__init__", "nas_lightning.callbacks.checkpoint.Path.unlink",
    "nas_lightning.callbacks.write_text", "hydra.utils.call", "functools.partial", "", "nas_lightning.callbacks.",
    ".os.system", "nas_lightning", None, 3, ["os.system"], {"a": 1},
]  # fmt: skip


@pytest.mark.parametrize("target", REFUSED, ids=str)
def test_what_is_not_on_the_list_is_refused(target):
    with pytest.raises(InputError, match=r"callbacks\.x\._target_: found .*; allowed: parts of nas_lightning, torch"):
        check_targets("callbacks.x", {"_target_": target})


@pytest.mark.parametrize("path", CONF, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_what_the_package_names_itself_is_allowed(path):
    content = yaml.safe_load(path.read_text())
    content.pop("hydra", None)  # the table of a sweep, which Hydra makes
    check_targets(path.stem, content)


def test_no_function_of_the_package_but_two_can_be_called():
    """Found by listing, so that a new function is not forgotten."""
    found = []
    for module in pkgutil.walk_packages(nas_lightning.__path__, "nas_lightning."):
        if module.name.endswith("__main__"):
            continue
        for name, value in vars(importlib.import_module(module.name)).items():
            if callable(value) and not isinstance(value, type):
                try:
                    check_targets("x", {"_target_": f"{module.name}.{name}"})
                except InputError:
                    continue
                found.append(f"{module.name}.{name}")
    assert found == [
        "nas_lightning.data.augment.build_augmentation",
        "nas_lightning.space.trunk.listed_trunk",
        "nas_lightning.training.schedule.one_cycle",
    ]


@pytest.mark.parametrize(
    ("content", "where"),
    [
        ({"a": {"b": {"_target_": "os.system"}}}, r"x\.a\.b\._target_"),
        ({"a": [1, [{"_target_": "os.system"}]]}, r"x\.a\[1\]\[0\]\._target_"),
        ({"_target_": "torch.optim.Adam", "_args_": [{"_target_": "os.system"}]}, r"x\._args_\[0\]\._target_"),
    ],
)
def test_a_target_is_found_wherever_it_stands(content, where):
    with pytest.raises(InputError, match=f"{where}: found os.system"):
        check_targets("x", content)


def test_a_folder_of_the_users_own_adds_what_it_names(tmp_path, monkeypatch):
    monkeypatch.setattr(targets, "_of_config_dirs", set())
    (tmp_path / "callbacks").mkdir()
    (tmp_path / "callbacks" / "mine.yaml").write_text("mine:\n  _target_: my.Callback\n")
    with pytest.raises(InputError):
        check_targets("callbacks", {"mine": {"_target_": "my.Callback"}})
    trust_config_dir(tmp_path)
    check_targets("callbacks", {"mine": {"_target_": "my.Callback"}})
    with pytest.raises(InputError):
        check_targets("callbacks", {"mine": {"_target_": "my.Other"}})


def test_an_entry_point_adds_what_it_names(tmp_path, monkeypatch):
    """A distribution as pip leaves it: the entry points are read from its metadata."""
    info = tmp_path / "my_parts-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-parts\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[nas_lightning.targets]\nstop = my_parts.stop:Stop\n")
    with pytest.raises(InputError):
        check_targets("callbacks", {"stop": {"_target_": "my_parts.stop.Stop"}})
    monkeypatch.syspath_prepend(tmp_path)
    targets._registered.cache_clear()
    try:
        check_targets("callbacks", {"stop": {"_target_": "my_parts.stop.Stop"}})
    finally:
        targets._registered.cache_clear()


def test_what_the_files_of_conf_name_is_known_without_an_import():
    """And is there."""
    hydras = {"hydra_plugins.nas_lightning_ray.RayLauncher", "nas_lightning.runs.sweep.SweepTable"}
    texts = [path.read_text() for path in conf_dir().rglob("*.yaml")]
    named = {target for text in texts for target in re.findall(r"_target_: (\S+)", text)} - hydras
    assert named <= targets.PARTS
    for part in targets.PARTS:
        assert callable(get_object(part))
