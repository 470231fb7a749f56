# %% [markdown]
# # A new cell: from its equation to a race
#
# The minimal gated unit (Zhou et al., "Minimal Gated Unit for Recurrent Neural Networks", 2016) has one gate:
#
# $$f = \sigma(W_f [x, h]), \quad n = \tanh(W_n [x, f \odot h]), \quad h \leftarrow (1 - f) \odot h + f \odot n$$

# %%
import tempfile

import torch

import rnnkit


class MGU(rnnkit.Cell):
    """Minimal gated unit (Zhou et al. 2016)."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.gate = torch.nn.Linear(input_size + hidden_size, hidden_size)
        self.candidate = torch.nn.Linear(input_size + hidden_size, hidden_size)

    def step(self, x, state):
        (h,) = state
        f = torch.sigmoid(self.gate(torch.cat([x, h], dim=1)))
        n = torch.tanh(self.candidate(torch.cat([x, f * h], dim=1)))
        h = (1 - f) * h + f * n
        return h, (h,)


MGU(8, 16)

# %% [markdown]
# ## Does it keep what a cell promises?

# %%
result = rnnkit.testing.check_cell(MGU)
result

# %% [markdown]
# ## A layer, in place of `nn.GRU`

# %%
layer = rnnkit.RNN(MGU, 8, 16, num_layers=2, bidirectional=True)
output, state = layer(torch.randn(20, 4, 8))
assert output.shape == (20, 4, 32)
layer

# %% [markdown]
# ## What its gate does

# %%
rnnkit.inspection.gate_activity(MGU)

# %% [markdown]
# ## Trained on a task

# %%
task = rnnkit.tasks["adding"](seq_len=20)
model = rnnkit.Model(task, MGU, hidden_size=16)
for record in rnnkit.progress(rnnkit.train(model, task, steps=60, lr=0.01), 60, task.metric_name):
    pass
print(f"{task.metric_name} after {record.step} updates: {record.validation.metric:.3f}")

# %% [markdown]
# ## Against others, at equal cost
#
# A race wants names; a class of a module of yours is `my_module:MGU`. Here two cells that are there, for a few
# updates, so that the notebook is quick; take the defaults for an answer that counts.

# %%
with tempfile.TemporaryDirectory() as folder:
    race = rnnkit.race(
        ["gru", "rnn"],
        "adding",
        seeds=2,
        lr=[0.01],
        steps=60,
        hidden=16,
        jobs=0,
        out=f"{folder}/race",
        task_options={"seq_len": 20},
    )
race
