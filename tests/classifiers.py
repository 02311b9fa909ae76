"""Classifiers with untrained networks, whose description and preparation a test chooses."""

from dataclasses import replace

import numpy as np
import torch

from nas_lightning.data.features import FrontEnd
from nas_lightning.data.preparation import Framing, Preparation
from nas_lightning.data.reading import Reading
from nas_lightning.export.contract import InputDescription
from nas_lightning.space.reference import ReferenceBlueprint
from nas_lightning.tasks import Classes, Classification
from nas_lightning.use.classifier import Classifier

WINDOW = 20
CLASSES = ("calm", "wild")


def new_classifier(channels=("ch0", "ch1"), rate=None, offsets=(), unit=None, variables=None, hop=WINDOW, **framing):
    """One of windows of 20 rows, with a network of fresh weights."""
    torch.manual_seed(0)
    count = len(channels)
    about = InputDescription(
        "0.1.0", "abc", Classes(CLASSES), shape=(count, WINDOW), channels=channels, window=WINDOW, stride=hop,
        sampling_rate=rate, unit=unit, offsets=offsets or (0.0,) * count, least=(-1.0,) * count, most=(1.0,) * count,
    )  # fmt: skip
    front_end = FrontEnd(frame_size=WINDOW, frame_skip=hop // WINDOW)
    said = None if rate is None or "new_sr" in framing else (rate, rate)
    preparation = Preparation(
        front_end.settings, Framing(**framing), WINDOW, hop, Reading(variables=variables), said_rates=said
    )
    network = ReferenceBlueprint((4, 6), 3, Classification(count, WINDOW, len(CLASSES))).build()
    return Classifier(network, about, preparation).eval()


def deciding(classifier, **fields):
    """The same with other fields of its description: temperature, threshold, postprocess."""
    classifier.description = replace(classifier.description, **fields)
    return classifier


def scores_of(classifier, windows):
    """Softmax of the logits of windows ``[N, C, 20]``, computed without the package."""
    with torch.no_grad():
        logits = classifier.network(torch.from_numpy(np.asarray(windows, np.float32))).double().numpy()
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)
