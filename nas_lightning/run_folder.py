"""Reading a run folder back."""

from pathlib import Path

import torch
from torch import nn

from nas_lightning.errors import InputError
from nas_lightning.files import read_json
from nas_lightning.space.blueprint import Blueprint, ReferenceBlueprint, SearchedBlueprint


def load(run_folder: str | Path) -> nn.Module:
    """The trained network of a run, in eval mode: raw samples ``[B, C, L]`` in, logits ``[B, K]`` out.

    Reads ``genotype.json`` (or ``model.json`` of a hand-made network) and ``model.pt``; nothing in them can run code.

    Raises:
        InputError: if the folder is not one of a run that ended.
    """
    folder = Path(run_folder)
    if not (folder / "model.pt").is_file():
        raise InputError(f"{folder}: has no model.pt; give the folder of a run that ended")
    network = read_blueprint(folder).build()
    network.load_state_dict(torch.load(folder / "model.pt", weights_only=True, map_location="cpu"))
    return network.eval()


def read_blueprint(folder: Path) -> Blueprint:
    """What the run found, or the hand-made network that it trained.

    Raises:
        InputError: if the folder describes neither.
    """
    if (folder / "genotype.json").is_file():
        return SearchedBlueprint.from_dict(read_json(folder / "genotype.json"))
    if (folder / "model.json").is_file():
        return ReferenceBlueprint.from_dict(read_json(folder / "model.json"))
    raise InputError(f"{folder}: has neither genotype.json nor model.json; give the folder of a run")
