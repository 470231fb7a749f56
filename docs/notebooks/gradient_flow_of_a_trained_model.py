# %% [markdown]
# # Gradient flow of a trained model
#
# Does the gradient reach back, which gates saturate, how long is the memory, does truncation hurt? First of a new
# model, then of the same one after some training.

# %%
import torch

import rnnkit
from rnnkit import inspection

task = rnnkit.tasks["adding"](seq_len=30)
torch.manual_seed(0)
model = rnnkit.Model(task, "lstm", hidden_size=16)
model

# %%
new = inspection.gradient_flow(model, task=task)
new

# %% [markdown]
# ## Trained

# %%
records = rnnkit.train(model, task, steps=150, lr=0.01, batch_size=32)
for record in rnnkit.progress(records, 150, task.metric_name):
    pass
trained = inspection.gradient_flow(model, task=task)
trained

# %%
print(f"left at the first step: {new.left:.1e} before, {trained.left:.1e} after training")

# %% [markdown]
# ## Gates

# %%
inspection.gate_activity(model, task.batch(8, torch.Generator().manual_seed(0)).xs)

# %% [markdown]
# ## What truncation would cost

# %%
bias = inspection.truncation_bias(model, task=task)
bias

# %% [markdown]
# ## Time travel
#
# Record a sequence, hold the forget gate shut at one step, and run again from there.

# %%
recording = inspection.record("lstm", hidden_size=16)
shut = inspection.replay(recording, at=40, gates={"f": 0.0})
same = inspection.replay(recording, at=40)
print(same.reading)
shut
