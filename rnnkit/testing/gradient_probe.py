"""The probe: a module and the tensors whose gradients are checked, as one scalar function of them."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from rnnkit.core.cell import Cell, State, starting_state, tensors_replaced
from rnnkit.core.state_domains import random_like
from rnnkit.core.unroller import Unroller
from rnnkit.layers.rnn import RNN


class GradientProbe:
    """A module in float64 and the tensors whose gradients are checked, as one scalar function."""

    def __init__(
        self,
        module: Cell | RNN,
        unroller: Unroller,
        steps: int,
        batch_size: int,
        lengths: Sequence[int] | None,
        seed: int,
    ) -> None:
        self.module = module
        self.unroller = unroller
        self.lengths = None if lengths is None else torch.tensor(list(lengths))
        self.seed = seed
        if isinstance(module, RNN):
            module.unroller = unroller
            module.batch_first = False
        device = next((p.device for p in module.parameters()), None)
        self.tensors = {"input": torch.randn(steps, batch_size, module.input_size, dtype=torch.float64, device=device)}
        if isinstance(module, RNN):
            self.states = module.layout.names("0")
            drawn = [_random_state(module.equipped(position), batch_size) for position in range(len(module.cells))]
            state = module.layout.flat(module.layout.join(drawn))
        else:
            self.states = [f"{name}0" for name in module.state_names]
            state = list(_random_state(module, batch_size))
        self.tensors |= zip(self.states, state, strict=True)
        for name, parameter in module.named_parameters():
            self.tensors[f"parameter {name}" if name in self.tensors else name] = parameter
        for tensor in self.tensors.values():
            tensor.requires_grad_(tensor.is_floating_point())
        self.weights: list[Tensor] = []
        cells = module.cells if isinstance(module, RNN) else (module,)
        self.begins_in_its_own_way = any(type(cell).initial_state is not Cell.initial_state for cell in cells)

    def copied(self, unroller: Unroller) -> "GradientProbe":
        """Return a copy with a module and tensors of its own, through another unroller."""
        other = copy.copy(self)
        other.module, other.tensors, other.weights = copy.deepcopy((self.module, self.tensors, self.weights))
        other.unroller = unroller
        if isinstance(other.module, RNN):
            other.module.unroller = unroller
        return other

    def first_step(self) -> tuple[Cell, Tensor, State]:
        """Return the (first) cell, with the weights that it uses, and an input and a state for one step of it."""
        cell = self.module.equipped(0) if isinstance(self.module, RNN) else self.module
        xs = self.tensors["input"].detach()
        return cell, xs, random_like(cell, starting_state(cell, xs.shape[1], xs))

    def outputs(self) -> list[Tensor]:
        """Unroll: the output and every final state, and again from the cell's own initial state if it has one."""
        outputs = self._unroll([self.tensors[name] for name in self.states])
        return outputs + self._unroll(None) if self.begins_in_its_own_way else outputs

    def _unroll(self, state: list[Tensor] | None) -> list[Tensor]:
        """Unroll once; what the cell draws is the same every time."""
        torch.manual_seed(self.seed)
        xs = self.tensors["input"]
        if isinstance(self.module, RNN):
            layout = self.module.layout
            output, last = self.module(xs, None if state is None else layout.unflat(state), lengths=self.lengths)
            return [output, *layout.flat(last)]
        output, last = self.unroller(self.module, xs, None if state is None else tuple(state), lengths=self.lengths)
        return [output, *last]

    def loss(self) -> Tensor:
        """Weigh every output and final state with random numbers, the same ones every time."""
        outputs = [tensor for tensor in self.outputs() if tensor.is_floating_point()]
        if not self.weights:
            self.weights = [torch.randn_like(output) for output in outputs]
        terms = [(output * weight).sum() for output, weight in zip(outputs, self.weights, strict=True)]
        return torch.stack(terms).sum()

    def gradients(self, of: Tensor, create_graph: bool = False) -> dict[str, Tensor]:
        """Let autograd differentiate a scalar by each tensor; zero where it does not depend on one."""
        wanted = {name: tensor for name, tensor in self.tensors.items() if tensor.requires_grad}
        if not of.requires_grad:
            return {name: torch.zeros_like(tensor) for name, tensor in wanted.items()}
        gradients = torch.autograd.grad(of, list(wanted.values()), create_graph=create_graph, allow_unused=True)
        pairs = zip(wanted.items(), gradients, strict=True)
        return {name: torch.zeros_like(tensor) if g is None else g for (name, tensor), g in pairs}

    def combination(self, create_graph: bool) -> Tensor:
        """Weigh all first gradients with random numbers, the same ones every time."""
        gradients = self.gradients(self.loss(), create_graph=create_graph)
        return self.weighed(gradients)

    def scalar(self, order: int, create_graph: bool) -> Tensor:
        """Return what is differentiated: the loss, for order 2 the combination of its gradients."""
        return self.loss() if order == 1 else self.combination(create_graph)

    def weighed(self, gradients: Mapping[str, Tensor]) -> Tensor:
        """Sum gradients, each weighed with random numbers, the same ones every time."""
        generator = torch.Generator().manual_seed(self.seed + 1)
        terms = []
        for gradient in gradients.values():
            weight = torch.randn(gradient.shape, dtype=torch.float64, generator=generator).to(gradient.device)
            terms.append((gradient * weight).sum())
        return torch.stack(terms).sum()

    @contextmanager
    def holding(self, tensors: Mapping[str, Tensor]) -> Iterator[None]:
        """Let other tensors stand for those of these names, for a while: functorch's wrappers too."""
        before = self.tensors
        places = self.module.named_parameters(remove_duplicate=False)  # a tied weight is in all of its places
        names = {id(tensor): name for name, tensor in before.items()}
        replaced = {path: tensors[names[id(p)]] for path, p in places if names.get(id(p)) in tensors}
        self.tensors = {**before, **tensors}
        try:
            with tensors_replaced(self.module, replaced):
                yield
        finally:
            self.tensors = before


def _random_state(cell: Cell, batch_size: int) -> State:
    # A cell without parameters begins in torch's default dtype, having none of its own.
    state = starting_state(cell, batch_size)
    return random_like(cell, tuple(t.double() if t.is_floating_point() else t for t in state))
