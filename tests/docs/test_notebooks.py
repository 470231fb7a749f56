"""The notebooks run in a kernel of Jupyter's, and are what their scripts say."""

import nbclient
import nbformat
import pytest
from notebooks import SCRIPTS, notebook_of, text_of

from ..slow_cases import slow_but

every_notebook = pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)


def test_there_are_three():
    assert len(SCRIPTS) == 3


@every_notebook
def test_the_file_is_the_script_s(script):
    assert script.with_suffix(".ipynb").read_text(encoding="utf-8") == text_of(script), "python tools/notebooks.py"


@pytest.mark.parametrize("script", slow_but(SCRIPTS[:1], SCRIPTS), ids=lambda path: path.stem)
@pytest.mark.timeout(300)
@pytest.mark.filterwarnings("ignore")  # Jupyter's own, of other versions of its parts
def test_it_runs_in_a_kernel(script, tmp_path):
    notebook = notebook_of(script)
    nbclient.NotebookClient(notebook, timeout=240, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    html = [output.data["text/html"] for output in outputs if "text/html" in output.get("data", {})]
    assert len(html) >= 3
    assert any("<svg" in one for one in html)
    nbformat.validate(notebook)
