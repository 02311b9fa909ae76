import pytest
import torch

from nas_lightning.training.evaluate import confusion, figures, never_predicted

LOGITS = torch.tensor([[2.0, 0, 0], [0, 2.0, 0], [2.0, 0, 0], [0, 0, 2.0]])


def test_figures_by_hand():
    """True 0 0 1 1, predicted 0 1 0 2: recalls 1/2 and 0; class 2 does not occur."""
    found = figures(LOGITS, torch.tensor([0, 0, 1, 1]))
    assert found["accuracy"] == 0.25
    assert found["balanced_accuracy"] == 0.25
    assert found["macro_f1"] == pytest.approx((0.5 + 0) / 2)


def test_confusion_has_a_row_per_true_class():
    assert confusion(LOGITS, torch.tensor([0, 0, 1, 1])).tolist() == [[1, 1, 0], [1, 0, 1], [0, 0, 0]]


def test_classes_that_are_never_predicted():
    """Predicted 0 1 0 2; what does not occur is not missed."""
    assert never_predicted(LOGITS, torch.tensor([0, 0, 1, 1])) == []
    assert never_predicted(LOGITS[[0, 2]], torch.tensor([0, 1])) == [1]
    assert never_predicted(LOGITS[[0, 2]], torch.tensor([1, 2])) == [1, 2]
