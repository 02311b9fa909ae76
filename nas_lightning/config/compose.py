"""Composition: overrides in, a typed ``Config`` out."""

import copy
from collections.abc import Iterator
from dataclasses import asdict, is_dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, cast

import yaml
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import ConfigTypeError, OmegaConfBaseException, ValidationError

from nas_lightning.config.arguments import allowed
from nas_lightning.config.keys import (
    check_key,
    check_run_name,
    check_values,
    escaped,
    flatten,
    key_types,
)
from nas_lightning.config.records import Config, Device, FeatureExtraction, schema, with_values
from nas_lightning.config.targets import check_targets
from nas_lightning.config.typed import quoted
from nas_lightning.errors import InputError, brief
from nas_lightning.files import damage, read_yaml

_PATHS = {"input_data_path": "path", "annotations": "annotations"}
"""Keys of ``dataset`` that name places, and the arguments of the group ``data`` that take them."""

PLACES = {f"dataset.{key}": argument for key, argument in _PATHS.items()}
"""The same, in full."""

_OF_RECORDINGS = ("variables", "sampling_rate", "new_sr", "anti_alias", "keep_short_tails", "scale")
"""Keys of the feature extraction that say something of the recordings, whatever is made of them."""


def conf_dir() -> Path:
    """The folder of the configuration files: inside the wheel, or beside the package in a checkout."""
    package = Path(__file__).resolve().parents[1]
    packaged = package / "conf"
    return packaged if packaged.is_dir() else package.parent / "conf"


@cache
def device_cards() -> list[Device]:
    """The cards of the group ``target_device``, by name."""
    paths = sorted((conf_dir() / "target_device").glob("*.yaml"), key=lambda path: path.stem.lower())
    cards = [OmegaConf.to_object(OmegaConf.merge(schema(Device), OmegaConf.load(p))) for p in paths]
    return cast(list[Device], cards)


def reference_models() -> dict[str, dict[str, Any]]:
    """The hand-made networks of the group ``model``, by name."""
    paths = sorted((conf_dir() / "model").glob("*.yaml"))
    return {path.stem: cast(dict[str, Any], OmegaConf.to_container(OmegaConf.load(path))) for path in paths}


def with_features(config: Config, name: str) -> Config:
    """The same configuration with another preset of ``features``; what describes the recordings stays as it is.

    Raises:
        InputError: if there is no such preset.
    """
    if name == config.data_processing_feature_extraction.feature_extraction_name:
        return config
    own = asdict(config.data_processing_feature_extraction)
    preset = asdict(compose_config([f"features={name}"]).data_processing_feature_extraction)
    chosen = preset | {key: own[key] for key in _OF_RECORDINGS if own[key] is not None or key == "variables"}
    data = copy.deepcopy(config.data)
    data["front_end"] |= {key: chosen[key] for key in data["front_end"] if key in chosen}
    return replace(config, data_processing_feature_extraction=FeatureExtraction(**chosen), data=data)


def register_records() -> None:
    """Make the typed records known to Hydra, as the first entry of the defaults list."""
    ConfigStore.instance().store(name="base_config", node=schema(Config))


def compose_config(overrides: list[str], config_dir: Path | None = None) -> Config:
    """Compose as the command line does, also inside a program that runs Hydra itself.

    Args:
        overrides: as on the command line.
        config_dir: a folder with groups and options of the user's own.

    Raises:
        InputError: for an override that Hydra refuses.
    """
    check_values(overrides)
    register_records()
    outer = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            own = [] if config_dir is None else [f"hydra.searchpath=[{quoted(f'file://{config_dir.absolute()}')}]"]
            return to_config(compose("config", [*overrides, *own]))
    except (HydraException, OmegaConfBaseException) as error:
        raise InputError(one_sentence(error)) from error
    finally:
        GlobalHydra.instance().hydra = outer


def one_sentence(error: Exception) -> str:
    """Hydra's message without its advice, and the first line of what caused it; of a wrong type what is allowed."""
    if sentence := _of_wrong_type(error):
        return sentence
    text = str(error).split("Config search path")[0].split("To append")[0]
    if isinstance(error, HydraException) and error.__cause__:
        text = text.strip().rstrip(".") + ": " + str(error.__cause__).split("\n")[0]
    return " ".join(text.split())


def _of_wrong_type(error: Exception) -> str | None:
    cause, (merging, _, override) = error.__cause__, str(error).split("\n")[0].partition("override ")
    if not isinstance(cause, ValidationError | ConfigTypeError) or not merging.startswith("Error merging"):
        return None
    key, _, found = override.lstrip("+").partition("=")
    hint = key_types().get(key, dict)
    return f"{key}: found {brief(found)}; allowed: {'its keys' if is_dataclass(hint) else allowed(key, hint)}"


@cache
def data_links() -> dict[str, str]:
    """The keys of the group ``data`` that follow another one, and which."""
    return dict(_links(OmegaConf.to_container(OmegaConf.load(conf_dir() / "data" / "default.yaml")), "data"))


def _links(content: Any, key: str) -> Iterator[tuple[str, str]]:
    if isinstance(content, dict):
        for name, value in content.items():
            yield from _links(value, f"{key}.{name}")
    elif str(content).startswith("${"):
        yield key, content[2:-1]


def to_config(composed: DictConfig) -> Config:
    """Resolve and leave OmegaConf: from here on the configuration is plain records; paths become absolute."""
    content = cast(dict[str, Any], OmegaConf.to_container(composed, resolve=True))
    config = _to_record({key: content[key] for key in Config.__dataclass_fields__ if key in content})
    check_run_name(config.common.run_name)
    for key, argument in _PATHS.items():
        if path := getattr(config.dataset, key):
            absolute = str(Path(path).absolute())
            follows = config.data.get(argument) == path  # else it was set by itself, which is refused
            config = with_values(config, {f"dataset.{key}": absolute})
            config = with_values(config, {f"data.{argument}": absolute}) if follows else config
    return config


def load_config(path: Path) -> Config:
    """Read the ``config.yaml`` of a run folder.

    Raises:
        InputError: if there is none, or it is not one.
    """
    if not path.is_file():
        raise InputError(
            f"resume: {path.parent} is not a run folder; it has no config.yaml: nothing was done yet, start it anew"
        )
    content = read_yaml(path)
    keys = [key for key, _ in flatten(content)]
    for key in keys:
        check_key(key, str(path))
    with damage(path):
        given = {*content, *keys}
        needed = [key for key, default in flatten(asdict(Config())) if default == MISSING]
        if missing := [key for key in (*needed, *Config.__dataclass_fields__) if key not in given]:
            raise ValueError(f"it lacks {missing[0]}")
        try:
            config = _to_record(content)
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
    places = {argument: getattr(config.dataset, key) for key, argument in _PATHS.items()}
    return replace(config, data=places | config.data)


def moved(config: Config, key: str, place: str) -> Config:
    """The same with a key of ``PLACES`` that leads elsewhere."""
    absolute = str(Path(place).expanduser().absolute())
    return with_values(config, {key: absolute, f"data.{PLACES[key]}": absolute})


def config_yaml(config: Config) -> str:
    """The content of ``config.yaml``: every value once, so that moved data are one edit."""
    content = asdict(config)
    for key, argument in _PATHS.items():
        if content["data"].get(argument) == content["dataset"][key]:
            content["data"].pop(argument, None)
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def _to_record(content: dict[str, Any]) -> Config:
    config = cast(Config, OmegaConf.to_object(OmegaConf.merge(schema(Config), escaped(content))))
    for section in sorted(name for name, value in vars(config).items() if isinstance(value, dict)):
        check_targets(section, getattr(config, section))
    return config
