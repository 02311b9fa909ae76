"""What data ask of a network is known in its room: a task is one file."""

import re
from pathlib import Path

import nas_lightning
from nas_lightning.tasks import Classification

ROOT = Path(nas_lightning.__file__).parent
WORDS = re.compile(
    r"cross_entropy|argmax\((?:1|-1|dim=1|dim=-1)\)|num_classes|(?i:class_names|model_classes)|(?<!target_)accuracy"
)
"""Of classes; ``target_accuracy`` is a key of the configuration."""

MAY_SAY = {
    "tasks": "the room",
    "report": "tables and pictures of each task",
    "use": "a classifier, and its figures on other recordings",
    "estimator.py": "that as a classifier of scikit-learn",
    "schemas": "the form of genotype.json",
    "space/cells/blueprint.py": "the record of that file",
    "search/derivation.py": "what a paper looks at",
    "runs/candidates.py": "the strongest operation of an edge",
    "api.py": "an argument of search_and_get_model",
    "data/loaders.py": "that argument",
    "data/datamodule.py": "an argument of from_arrays",
    "data/made.py": "that argument",
    "data/readers/arff.py": "columns that hold labels",
    "data/readers/arrays.py": "an array of a .npz",
    "data/readers/stored_arrays.py": "that array",
    "data/readers/extras.py": "that array in .mat and HDF5",
    "data/readers/targets.py": "that array, and one-hot labels",
}


def test_words_of_classes_stand_in_the_room_of_tasks_only():
    found = set()
    for path in ROOT.rglob("*"):
        if path.suffix in {".py", ".c", ".h", ".md"} and WORDS.search(path.read_text()):
            place = path.relative_to(ROOT).as_posix()
            found.add(place if place in MAY_SAY else place.split("/")[0] if place.split("/")[0] in MAY_SAY else place)
    assert found == set(MAY_SAY)


def test_the_names_of_classes_do_not_tell_tasks_apart():
    named = Classification(3, 16, 2, ("idle", "wave"))
    assert named == Classification(3, 16, 2)
    assert named.outputs.to_dict() == {"class_names": ["idle", "wave"]}
    assert "names" not in named.to_dict()
