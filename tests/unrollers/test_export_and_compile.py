"""torch.export and torch.compile around a layer, through every unroller: as around torch.nn.LSTM."""

import pytest
import torch

import rnnkit

XS = torch.randn(4, 3, 5, generator=torch.Generator().manual_seed(0))
OTHERS = [pytest.param(name, marks=pytest.mark.slow) for name in rnnkit.unrollers if name not in ("compiled", "loop")]

pytestmark = pytest.mark.filterwarnings("ignore")  # torch's own, of its tracers


def layer_of(unroller):
    torch.manual_seed(0)
    return rnnkit.RNN("lstm", 5, 6, unroller=unroller)


@pytest.mark.parametrize("unroller", ["compiled", "loop", *OTHERS])
def test_strict_export_at_a_fixed_length(unroller):
    layer = layer_of(unroller)
    exported = torch.export.export(layer, (XS,), strict=True).module()
    torch.testing.assert_close(exported(2 * XS)[0], layer(2 * XS)[0])


@pytest.mark.parametrize("unroller", ["compiled", "loop", *OTHERS])
def test_compile_leaves_the_numbers_and_gradients(unroller):
    torch._dynamo.reset()
    layer = layer_of(unroller)
    compiled = torch.compile(layer, backend="eager")
    found, expected = (
        [ys := one(XS)[0], *torch.autograd.grad(ys.sum(), layer.parameters())] for one in (compiled, layer)
    )
    torch.testing.assert_close(found, expected)
