"""What notebooks show of cells, layers, models, runs and reports."""

import pytest

import rnnkit

from ..core_cells import CORE_CELLS


def shown(thing):
    html = thing._repr_html_()
    assert html.count("<div") == html.count("</div>")
    assert html.count("<table") == html.count("</table>")
    return html


@pytest.mark.parametrize("name", CORE_CELLS)
def test_a_cell_has_its_parameters_and_states(name):
    cell = rnnkit.cells[name](3, 4)
    html = shown(cell)
    assert all(f">{parameter}<" in html for parameter, _ in cell.named_parameters())
    assert all(f">{state}<" in html for state in cell.state_names)


def test_what_it_is_called_is_written_as_text():
    class Odd(rnnkit.cells["rnn"]):
        """Less < more & <script>."""

    assert "Less &lt; more &amp; &lt;script&gt;." in shown(Odd(2, 3))


def test_a_layer_has_a_row_for_each_cell():
    layer = rnnkit.RNN(["lstm", "gru"], 3, 4, bidirectional=True)
    html = shown(layer)
    assert html.count(">reverse</td>") == 2
    cells = [">0<", ">1<", ">forward<", ">reverse<", ">lstm<", ">gru<", ">3<", ">8<", ">4<", ">h 4, c 4<", ">h 4<"]
    assert [cell for cell in cells if cell not in html] == []
    assert html.count(">8<") == 2  # what the second layer's cells take
    assert all(f">{name}<" in html for name, _ in layer.named_parameters())


def test_a_model_has_its_ends():
    html = shown(rnnkit.Model(rnnkit.tasks["chars"](), "gru", 8))
    assert "Embedding(103, 64)" in html
    assert "readout.weight" in html


class Detached(rnnkit.cells["rnn"]):
    """Cuts the gradient of its state off."""

    name = "detached"

    def step(self, p, state):
        return super().step(p, tuple(tensor.detach() for tensor in state))


@pytest.mark.parametrize(
    ("kind", "summary", "verdict", "other"),
    [("rnn", "all gradients agree", ">ok<", ">wrong<"), (Detached, "gradients are wrong", ">wrong<", None)],
    ids=["right", "wrong"],
)
def test_a_gradient_report_says_what_is_wrong(kind, summary, verdict, other):
    html = shown(rnnkit.gradcheck(kind, steps=2, hidden_size=2, input_size=1))
    assert summary in html
    assert verdict in html
    assert other is None or other not in html


def test_a_conformance_says_what_is_broken():
    kept, broken = (shown(rnnkit.testing.inspect_cell(kind)) for kind in (rnnkit.cells["rnn"], Detached))
    assert "every promise is kept" in kept
    assert ">broken<" not in kept
    assert "promises are broken" in broken
    assert ">broken<" in broken


def test_a_run_has_its_last_figures(past_run):
    run = rnnkit.read_history(past_run("first", [3.0, 2.5, 2.25], {2: 2.75}, cell="gru", task="adding"))
    html = shown(run)
    assert "MSE, training</dt><dd>2.2500<" in html
    assert "MSE, validation</dt><dd>2.7500<" in html
    assert "3 of 3" in html
    assert "<svg" in html
