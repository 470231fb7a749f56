"""What notebooks show of cells, layers, models, runs and reports."""

import pytest

import rnnkit


def shown(thing):
    html = thing._repr_html_()
    assert html.count("<div") == html.count("</div>")
    assert html.count("<table") == html.count("</table>")
    return html


@pytest.mark.parametrize("name", rnnkit.cells)
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
    assert all(f">{name}<" in html for name, _ in layer.named_parameters())


def test_a_model_has_its_ends():
    html = shown(rnnkit.Model(rnnkit.tasks["chars"](), "gru", 8))
    assert "Embedding(103, 64)" in html
    assert "readout.weight" in html


def test_a_report_says_what_is_wrong():
    assert "all gradients agree" in shown(rnnkit.gradcheck("rnn", steps=2, hidden_size=2, input_size=1))
    html = shown(rnnkit.testing.inspect_cell(rnnkit.cells["rnn"]))
    assert "every promise is kept" in html
