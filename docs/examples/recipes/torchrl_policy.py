"""A policy with a memory in TorchRL: a cue is shown at the first step, and the right action at the last one is it."""

import torch
from tensordict import TensorDict
from tensordict.nn import TensorDictModule
from torch import nn
from torch.distributions import Categorical
from torchrl.data import Bounded, Composite, Unbounded
from torchrl.data.tensor_specs import Categorical as Choice
from torchrl.envs import EnvBase, TensorDictPrimer, TransformedEnv
from torchrl.modules import ProbabilisticActor

import rnnkit

STEPS, HIDDEN, UPDATES = 6, 16, 60


class Corridor(EnvBase):
    """Shows a cue, -1 or 1, then nothing; at the last step the action that the cue named is worth 1."""

    def __init__(self, count):
        super().__init__(batch_size=[count])
        self.observation_spec = Composite(observation=Bounded(-1, 1, (count, 2)), shape=[count])
        self.action_spec = Choice(2, shape=(count,))
        self.reward_spec = Unbounded((count, 1))

    def _reset(self, tensordict=None, **options):
        self.at, self.cue = 0, torch.randint(2, self.batch_size)
        return TensorDict({"observation": self._seen(2.0 * self.cue - 1)}, self.batch_size)

    def _step(self, tensordict):
        self.at += 1
        over = self.at == STEPS
        right = (tensordict["action"] == self.cue).float().unsqueeze(-1)
        return TensorDict(
            {
                "observation": self._seen(torch.zeros(self.batch_size)),
                "reward": right * over,
                "done": torch.full((*self.batch_size, 1), over),
            },
            self.batch_size,
        )

    def _seen(self, cue):
        return torch.stack([cue, torch.full_like(cue, self.at / STEPS)], dim=-1)

    def _set_seed(self, seed):
        torch.manual_seed(seed)


class Memory(nn.Module):
    """One step of a layer: observation (B, D) and state (B, H) to logits (B, A) and the next state."""

    def __init__(self, cell="gru"):
        super().__init__()
        self.layer = rnnkit.RNN(cell, 2, HIDDEN)
        self.readout = nn.Linear(HIDDEN, 2)

    def forward(self, observation, state):
        outputs, state = self.layer(observation.unsqueeze(0), state.unsqueeze(0))
        return self.readout(outputs[0]), state[0]


def main():
    """Learn by REINFORCE; return the mean reward of the last updates, which is 0.5 without a memory."""
    torch.manual_seed(0)
    zeros = TensorDictPrimer({"state": Unbounded(HIDDEN)}, default_value=0.0, expand_specs=True)
    corridor = TransformedEnv(Corridor(64), zeros)
    memory = TensorDictModule(Memory(), in_keys=["observation", "state"], out_keys=["logits", ("next", "state")])
    policy = ProbabilisticActor(memory, in_keys=["logits"], distribution_class=Categorical, return_log_prob=True)
    optimizer = torch.optim.Adam(policy.parameters(), lr=1e-2)
    rewards = []
    for _ in range(UPDATES):
        steps = corridor.rollout(STEPS, policy)  # (64, STEPS); the graph goes back to the cue
        reward = steps["next", "reward"].sum((1, 2))
        log_probability = steps["action_log_prob"][:, -1]
        loss = -((reward - 0.5) * log_probability).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rewards.append(reward.mean().item())
    return sum(rewards[-10:]) / 10


if __name__ == "__main__":
    print(f"mean reward {main():.2f}")
