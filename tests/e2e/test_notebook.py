"""The notebook runs from top to bottom, and its network learns what it shows."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

PATH = Path(__file__).parents[2] / "examples" / "quickstart.ipynb"


def test_the_repository_holds_no_outputs():
    book = nbformat.read(PATH, 4)
    nbformat.validate(book)
    cells = [cell for cell in book.cells if cell.cell_type == "code"]
    assert cells
    assert all(cell.outputs == [] and cell.execution_count is None for cell in cells)


@pytest.mark.slow
def test_it_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    book = nbformat.read(PATH, 4)
    NotebookClient(book, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    assert "(180, 2, 128)" in code[0].outputs[0].data["text/plain"]
    assert "parameters" in code[2].outputs[0].text
    table = code[-1].outputs[0].data["text/plain"]
    assert table.count("still") == 4
    assert table.count("running") == table.count("walking") == 2
