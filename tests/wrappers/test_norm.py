"""Layer normalisation around a cell, written out by hand."""

import pytest
import torch

import rnnkit


def normalised(z, weight, bias):
    centred = z - z.mean(-1, keepdim=True)
    return weight * centred / ((centred**2).mean(-1, keepdim=True) + 1e-5).sqrt() + bias


@pytest.mark.parametrize("output", [True, False], ids=["output", "output as it is"])
@pytest.mark.parametrize("input", [True, False], ids=["input", "input as it is"])
def test_normalises_what_it_is_asked_to_and_leaves_the_state(build, input, output):
    cell = build("norm", inner="lstm", input=input, output=output)
    for parameter in cell.parameters():
        torch.nn.init.normal_(parameter)
    names = {name for name, _ in cell.named_parameters(recurse=False)}
    assert names == {
        f"norm_{place}_{kind}" for place in ["input"] * input + ["output"] * output for kind in ("weight", "bias")
    }
    xs = torch.randn(7, 2, 3, dtype=torch.float64)
    loop = rnnkit.unrollers["loop"]()
    ys, last = loop(cell, xs)
    fed = normalised(xs, cell.norm_input_weight, cell.norm_input_bias) if input else xs
    inner, expected = loop(cell.inner, fed)
    given = normalised(inner, cell.norm_output_weight, cell.norm_output_bias) if output else inner
    torch.testing.assert_close(ys, given, rtol=0, atol=1e-12)
    torch.testing.assert_close(last, expected, rtol=0, atol=1e-12)


def test_the_output_s_norm_has_the_width_of_the_output(build):
    cell = build("norm", inner="lstm", proj_size=2, input=True)
    assert cell.norm_input_weight.shape == cell.norm_input_bias.shape == (3,)
    assert cell.norm_output_weight.shape == cell.norm_output_bias.shape == (2,)


def test_begins_with_weight_one_and_bias_zero(build):
    ys, _ = rnnkit.unrollers["loop"]()(build("norm", hidden_size=50), torch.randn(7, 2, 3, dtype=torch.float64))
    torch.testing.assert_close(ys.mean(-1), torch.zeros(7, 2, dtype=torch.float64), rtol=0, atol=1e-12)
    torch.testing.assert_close(ys.var(-1, correction=0), torch.ones(7, 2, dtype=torch.float64), rtol=0, atol=1e-2)


@pytest.mark.parametrize("place", ["input", "output"])
def test_a_flag_that_is_none(build, place):
    with pytest.raises(rnnkit.errors.KindError, match=f"cell 'norm': {place} is 'yes'; it must be True or False"):
        build("norm", **{place: "yes"})
