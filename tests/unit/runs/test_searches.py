"""How the searches of a run are done."""

import torch

from nas_lightning.runs import searches
from nas_lightning.runs.modes import run
from nas_lightning.search.module import SearchModule


def test_the_search_of_a_small_supernet_has_one_thread(short_config, tmp_path, monkeypatch):
    seen, step = [], SearchModule.training_step

    def watched(self, *arguments):
        seen.append(torch.get_num_threads())
        return step(self, *arguments)

    monkeypatch.setattr(SearchModule, "training_step", watched)
    found, before = {}, torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        for small in (searches._SMALL, 0):
            seen.clear()
            monkeypatch.setattr(searches, "_SMALL", small)
            run(short_config("training.enable=false", "logger=none"), tmp_path / str(small))
            found[small] = set(seen)
    finally:
        torch.set_num_threads(before)
    assert list(found.values()) == [{1}, {2}]
