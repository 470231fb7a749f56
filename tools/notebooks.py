"""The notebooks of the documentation, from the scripts beside them.

python tools/notebooks.py    ->  docs/notebooks/*.ipynb
"""

from pathlib import Path

import jupytext
from nbformat import NotebookNode

FOLDER = Path(__file__).parents[1] / "docs" / "notebooks"
SCRIPTS = sorted(FOLDER.glob("*.py"))


def notebook_of(script: Path) -> NotebookNode:
    """Return the notebook of a script whose cells begin with `# %%`, without outputs; the same at every call."""
    notebook = jupytext.read(script)
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook.metadata = NotebookNode({"kernelspec": kernel, "language_info": {"name": "python"}})
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"
        cell["metadata"] = {}
    return notebook


def text_of(script: Path) -> str:
    """Return the notebook of a script as its file has it."""
    return jupytext.writes(notebook_of(script), fmt="ipynb") + "\n"


if __name__ == "__main__":
    for path in SCRIPTS:
        path.with_suffix(".ipynb").write_text(text_of(path), encoding="utf-8")
