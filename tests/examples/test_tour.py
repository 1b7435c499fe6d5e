"""The notebook of the examples runs from its first cell to its last."""

from pathlib import Path

import nbclient
import nbformat
import pytest

TOUR = Path(__file__).parents[2] / "examples" / "tour.ipynb"


@pytest.mark.slow
def test_the_tour_runs_and_shows_what_it_reads() -> None:
    notebook = nbformat.NotebookNode(nbformat.reads(TOUR.read_text("utf-8"), 4))  # type: ignore[no-untyped-call]
    here = {"metadata": {"path": str(TOUR.parent)}}
    nbclient.NotebookClient(notebook, timeout=120, resources=here).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    shown = [output.data for output in outputs if "data" in output]
    assert [data["text/plain"].split("'")[1] for data in shown if "text/html" in data] == [
        "hello, world!", "7", "Hi",
    ]  # fmt: skip
    assert any("image/png" in data for data in shown)  # the plot
    printed = "".join(output.text for output in outputs if output.output_type == "stream")
    assert "bad_input: None came, expected an image" in printed
    assert printed.rstrip().endswith("hello, world!")
