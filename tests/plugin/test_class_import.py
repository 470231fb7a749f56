"""MODULE:CLASS stands wherever a cell's name may: one importer, one line for whatever is wrong with it."""

import sys
from dataclasses import replace

import pytest
import torch

import rnnkit
from rnnkit.errors import PluginError, UnknownNameError, UsageError
from rnnkit.plugin.class_import import digests, homes
from rnnkit.runs.settings import Settings

SOURCE = """
print("imported")


class Nest:
    class Deep(Fake):
        pass


class Leaky(Fake):
    def __init__(self, input_size, hidden_size, *, leak=0.5):
        super().__init__(input_size, hidden_size)
        self.leak = leak


def helper():
    pass


instance = Leaky(1, 1)
plain = object()
"""


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch, cell_source):
    """Stand in a folder with a module and a package of cells, and forget them afterwards."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_cells.py").write_text(cell_source() + SOURCE)
    (tmp_path / "my_package").mkdir()
    (tmp_path / "my_package" / "cells.py").write_text(cell_source("packed"))
    path, modules = list(sys.path), set(sys.modules)
    yield tmp_path
    assert sys.path == path
    for name in set(sys.modules) - modules:
        if name.startswith(("my_", "broken")):
            del sys.modules[name]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("my_cells:Fake", "Fake"),
        ("my_cells:Nest.Deep", "Deep"),
        ("my_package.cells:Fake", "Fake"),
        ("my_cells:Leaky(leak=0.25)", "Leaky"),
        ("zoneout(my_cells:Leaky, rate=0.1)", "Zoneout"),
        ("zoneout(my_cells:Leaky(leak=0.25), rate=0.1)", "Zoneout"),
        ("residual(zoneout(my_package.cells:Fake))", "Residual"),
        ("zoneout(inner=my_cells:Fake)", "Zoneout"),
    ],
)
def test_a_class_by_its_import_path(text, kind, capsys):
    layer = rnnkit.RNN(text, 3, 4, num_layers=2, unroller="loop")
    assert type(layer.cells[0]).__name__ == kind
    assert text in repr(layer)
    ys, _ = layer(torch.randn(5, 2, 3))
    assert ys.shape == (5, 2, 4)
    assert rnnkit.gradcheck(text).ok
    assert rnnkit.Model(rnnkit.tasks["adding"](seq_len=4), text, 4).layer.num_layers == 1
    assert "imported" not in capsys.readouterr().out


def test_options_and_lists():
    layer = rnnkit.RNN(["my_cells:Leaky", "lstm"], 3, 4)
    assert layer.state_names == ("h_l0", "h_l1", "c_l1")
    assert rnnkit.RNN("my_cells:Leaky", 3, 4, leak=0.1).cells[0].leak == 0.1
    with pytest.raises(UsageError, match=r"cell 'leaky' has no option 'leek' \(did you mean 'leak'\?\)"):
        rnnkit.RNN("my_cells:Leaky", 3, 4, leek=0.1)


def test_a_module_sees_neither_the_layer_s_dtype_nor_its_device(here, cell_source):
    (here / "my_constant.py").write_text("import torch\nZERO = torch.zeros(())\n" + cell_source())
    rnnkit.RNN("zoneout(my_constant:Fake)", 3, 4, device="meta", dtype=torch.float64)
    zero = sys.modules["my_constant"].ZERO
    assert (zero.dtype, zero.device.type) == (torch.float32, "cpu")


REFUSED = {
    "my_cels:Fake": (PluginError, r"'my_cels' cannot be imported: .*\(did you mean 'my_cells'\?\)"),
    "my_package.cels:Fake": (PluginError, r"\(did you mean 'my_package.cells'\?\)"),
    "my_pakage.cells:Fake": (PluginError, r"\(did you mean 'my_package.cells'\?\)"),
    "my_cells:Fak": (UsageError, r"^module 'my_cells' has no 'Fak' \(did you mean 'Fake'\?\)$"),
    "my_cells:Nest.Deeep": (UsageError, r"has no 'Nest.Deeep' \(did you mean 'Deep'\?\)$"),
    "my_cells:": (UsageError, "^'my_cells:' names no class; write my_cells:Fake or my_cells:Nest or my_cells:Leaky$"),
    "nowhere:": (UsageError, "^'nowhere:' names no class; write nowhere:CLASS$"),
    ":Leaky": (UsageError, "^':Leaky' names no module; write my_cells:Leaky$"),
    ":Lost": (UsageError, "^':Lost' names no module; write MODULE:Lost, such as my_package.cells:MyCell$"),
    ":": (UsageError, "^':' names no module; write MODULE:CLASS, "),
    "./my_cells.py:Fake": (UsageError, "^'./my_cells.py:Fake' names a file and not a module; write my_cells:Fake$"),
    "my_cells.py:Fake": (UsageError, "; write my_cells:Fake$"),
    "./my_cells:Fake": (UsageError, "; write my_cells:Fake$"),
    "my_package/cells:Fake": (UsageError, "; write my_package.cells:Fake$"),
    "my_package/cells.py:Fake": (UsageError, "; write my_package.cells:Fake$"),
    ".my_cells:Fake": (UsageError, "; write my_cells:Fake$"),
    "my_package..cells:Fake": (UsageError, "; write my_package.cells:Fake$"),
    "../my_cells.py:Fake": (UsageError, "; write my_cells:Fake, and stand in .. or put it on PYTHONPATH$"),
    "/here/my_cells.py:Fake": (UsageError, "; write my_cells:Fake, and stand in /here or put it on PYTHONPATH$"),
    "./my_cells.py:": (UsageError, "; write my_cells:Fake or "),
    "my_cells.Fake": (UnknownNameError, "^unknown cell 'my_cells.Fake'; .* with a colon: write my_cells:Fake$"),
    "my_package.cells.Fake": (UnknownNameError, "write my_package.cells:Fake$"),
    "my_cells/Fake": (UnknownNameError, "^unknown cell 'my_cells/Fake'; write my_cells:Fake$"),
    "my_package/cells/Fake": (UnknownNameError, "; write my_package.cells:Fake$"),
    "my_package/cells": (UnknownNameError, "; write my_package.cells:Fake$"),
    "my_cells.py": (UnknownNameError, "^unknown cell 'my_cells.py'; write my_cells:Fake or my_cells:Nest or "),
    "my_cells": (UnknownNameError, "^unknown cell 'my_cells'; there is a module of that name here: write my_cells:F"),
    "my_cells::Fake": (UsageError, "is not of the form MODULE:CLASS, such as my_package.cells:MyCell; ':Fake' is no"),
    "my_cells:Fake.": (UsageError, "is not of the form MODULE:CLASS"),
    "my_cells:helper": (
        UsageError,
        "^the cell is 'my_cells:helper', a function; it must be a registered name or a class derived from Cell, "
        "such as my_cells:Fake or my_cells:Leaky$",
    ),
    "my_cells:instance": (UsageError, r"the cell is 'my_cells:instance', Leaky\(1, 1\).*, such as my_cells:Fake or"),
    "my_cells:plain": (UsageError, r"the cell is 'my_cells:plain', <object object>; it must be"),
    "my_cells:torch": (UsageError, r"the cell is 'my_cells:torch', a module; it must be"),
    "my_cells:Nest": (UsageError, r"; it must be a registered name or a class derived from Cell, such as my_cells:Fak"),
    "torch.nn:LSTM": (UsageError, r"; it must be a registered name or a class derived from Cell$"),
    "no_such_thing:Fake": (
        PluginError,
        "^'no_such_thing' cannot be imported: .*; stand in the folder of no_such_thing, or put that on PYTHONPATH$",
    ),
    "broken_cells:Fake": (PluginError, "^'broken_cells' cannot be imported: ZeroDivisionError: division by zero$"),
    "broken_import:Fake": (PluginError, "^'broken_import' cannot be imported: .* No module named 'nowhere_at_all'$"),
}


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("text", REFUSED)
def test_what_is_no_cell_is_told_in_a_sentence(here, text, wrapped):
    (here / "broken_cells.py").write_text("1 / 0")
    (here / "broken_import.py").write_text("import nowhere_at_all")
    kind, sentence = REFUSED[text]
    with pytest.raises(kind, match=sentence) as caught:
        rnnkit.RNN(f"zoneout({text})" if wrapped else text, 3, 4)
    assert "\n" not in str(caught.value)
    assert " at 0x" not in str(caught.value)


def test_the_nearest_module_of_pythonpath(here, tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("others")
    (folder / "their_cells.py").touch()
    monkeypatch.setenv("PYTHONPATH", f"{folder}:{folder / 'gone'}")
    with pytest.raises(PluginError, match=r"\(did you mean 'their_cells'\?\); stand in the folder of their_cels,"):
        rnnkit.RNN("their_cels:Fake", 3, 4)


def test_unrollers_and_tasks_too(here):
    (here / "my_others.py").write_text(
        "import rnnkit\n"
        "class Mine(rnnkit.unrollers['loop']):\n    pass\n"
        "class Sums(rnnkit.tasks['adding']):\n    name = 'sums'\n"
    )
    assert rnnkit.RNN("lstm", 3, 4, unroller="my_others:Mine").unroller.name == "mine"
    settings = Settings(task="my_others:Sums", unroller="my_others:Mine", task_options={"seq_len": 4})
    assert settings.make_task().name == "sums"
    with pytest.raises(UsageError, match="the task is 'my_others:Mine'"):
        replace(settings, task="my_others:Mine").make_task()


def test_where_a_class_stands(here):
    assert homes("zoneout(my_cells:Fake)") == {}  # not imported
    rnnkit.RNN("my_cells:Fake", 3, 4)
    assert homes("zoneout(my_cells:Fake, rate=0.1)") == {"my_cells:Fake": here / "my_cells.py"}
    before = digests("my_cells:Fake")
    assert before.keys() == {"my_cells:Fake"}
    with (here / "my_cells.py").open("a") as file:
        file.write("# changed, and longer\n")
    rnnkit.RNN("my_cells:Fake", 3, 4)
    assert digests("my_cells:Fake") == before  # what runs is what was imported
    del sys.modules["my_cells"]
    rnnkit.RNN("my_cells:Fake", 3, 4)
    assert digests("my_cells:Fake") != before
    assert homes("zoneout(lstm, rate={'h': 0.1})") == {}
