# %% [markdown]
# # Backpropagation through an LSTM, by hand
#
# An LSTM of plain tensor operations: its equations, a loop over the sequence, `loss.backward()`, and then the
# gradient of the input, of both initial states and of every weight. Then the same gradients again without autograd,
# and the proof that they agree.

# %%
import torch

import rnnkit

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
T, B, D, H = 12, 2, 3, 4  # steps, rows, input size, hidden size

# %% [markdown]
# ## The equations, and a loop
#
# The rows of both weights are the blocks i, f, g, o, as in `torch.nn.LSTM`.


# %%
def step(x, h, c, W, U, b):
    i, f, g, o = (x @ W.t() + h @ U.t() + b).chunk(4, dim=1)
    i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
    c = f * c + i * g
    return o * c.tanh(), c, (i, f, g, o)


xs = torch.randn(T, B, D, requires_grad=True)
h0, c0 = torch.randn(B, H, requires_grad=True), torch.randn(B, H, requires_grad=True)
W = (0.5 * torch.randn(4 * H, D)).requires_grad_()
U = (0.5 * torch.randn(4 * H, H)).requires_grad_()
b = torch.zeros(4 * H, requires_grad=True)

h, c, kept = h0, c0, []
for x in xs:
    before = (h, c)
    h, c, gates = step(x, h, c, W, U, b)
    kept.append((x, *before, *gates, c))
loss = h.square().sum()
loss.backward()
leaves = {"xs": xs, "h0": h0, "c0": c0, "W": W, "U": U, "b": b}
{name: tuple(leaf.grad.shape) for name, leaf in leaves.items()}

# %% [markdown]
# ## The same by hand, backwards in time
#
# What comes back from step t + 1 are the gradients of h and c. Each gate has its own share; all four go through the
# weights to the input and to the state before.

# %%
with torch.no_grad():
    dh, dc = 2 * h, torch.zeros(B, H)
    dW, dU, db = torch.zeros_like(W), torch.zeros_like(U), torch.zeros_like(b)
    dxs = torch.zeros(T, B, D)
    for t in reversed(range(T)):
        x, h_before, c_before, i, f, g, o, c = kept[t]
        do = dh * c.tanh()
        dc = dc + dh * o * (1 - c.tanh() ** 2)
        di, df, dg = dc * g, dc * c_before, dc * i
        da = torch.cat([di * i * (1 - i), df * f * (1 - f), dg * (1 - g**2), do * o * (1 - o)], dim=1)
        dW, dU, db = dW + da.t() @ x, dU + da.t() @ h_before, db + da.sum(0)
        dxs[t], dh, dc = da @ W, da @ U, dc * f

by_hand = {"xs": dxs, "h0": dh, "c0": dc, "W": dW, "U": dU, "b": db}
worst = {name: float((by_hand[name] - leaf.grad).abs().max()) for name, leaf in leaves.items()}
assert max(worst.values()) < 1e-12
worst

# %% [markdown]
# ## As a cell
#
# Written as a cell, `rnnkit` makes a layer of it; the gradients are held to finite differences.


# %%
class MyLSTM(rnnkit.Cell):
    """An LSTM of tensor operations."""

    state_names = ("h", "c")

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.W = torch.nn.Parameter(0.5 * torch.randn(4 * hidden_size, input_size))
        self.U = torch.nn.Parameter(0.5 * torch.randn(4 * hidden_size, hidden_size))
        self.b = torch.nn.Parameter(torch.zeros(4 * hidden_size))

    def step(self, x, state):
        h, c, _ = step(x, *state, self.W, self.U, self.b)
        return h, (h, c)


MyLSTM(D, H)

# %%
report = rnnkit.gradcheck(MyLSTM)
assert report.ok
report

# %% [markdown]
# ## How far back does the gradient reach?

# %%
rnnkit.inspection.gradient_flow(MyLSTM, hidden_size=H, input_size=D)
