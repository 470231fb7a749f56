"""torch's own samples for nn.LSTM, nn.GRU and nn.RNN: the inputs that it is tested with, and those that it refuses."""

import re
from functools import cache, partial

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence

import rnnkit

from ..slow_cases import slow_but

DTYPES = [torch.float32, torch.float64]
COUNTS = {nn.LSTM: 32, nn.GRU: 32, nn.RNN: 64}  # at least so many samples

every_module = pytest.mark.parametrize("kind", COUNTS, ids=lambda kind: kind.__name__)
every_dtype = pytest.mark.parametrize("dtype", slow_but([torch.float64], DTYPES), ids=str)
every_mode = pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])

# torch's warning is of its own choice.
pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")

BAD_DTYPE = (
    r"RNN input dtype .* does not match weight dtype .* "
    r"Convert input: input\.to\(.*\), or convert model: model\.to\(.*\)"
)
CULPRITS = {  # how torch complains about each sample that it refuses: the words that the layer's sentence must have
    "hidden_size must be greater than zero": ("hidden_size", "0"),
    "num_layers must be greater than zero": ("num_layers", "0"),
    BAD_DTYPE: ("input", "dtype", "float32", "float64", ".to("),
    "bias should be of type bool, got: int": ("bias", "True or False"),
    "bias should be of type bool, got: str": ("bias", "'True'"),
    "batch_first should be of type bool, got: int": ("batch_first", "True or False"),
    "batch_first should be of type bool, got: str": ("batch_first", "'False'"),
    "input_size should be of type int, got: float": ("input_size", "3.0"),
    "input_size should be of type int, got: str": ("input_size", "'10'"),
    "input_size must be greater than zero": ("input_size", ">= 1"),
    "hidden_size should be of type int, got: float": ("hidden_size", "5.0"),
}


@cache
def info_of(kind):
    """Return what torch knows of its class; its list takes seconds to import."""
    from torch.testing._internal.common_modules import module_db

    return next(info for info in module_db if info.module_cls is kind)


def samples(kind, dtype, training):
    """Return torch's samples, packed ones too where it has any."""
    info = info_of(kind)
    flags = {"requires_grad": True, "training": training, "with_packed_sequence": True}
    found = info.module_inputs_func(info, device="cpu", dtype=dtype, **flags)
    assert len(found) >= COUNTS[kind]
    return found


def refused(kind, dtype, training):
    """Return the samples that torch refuses."""
    info = info_of(kind)
    found = info.module_error_inputs_func(info, device="cpu", dtype=dtype, requires_grad=False, training=training)
    assert len(found) >= 14
    return found


def layer_like(kind):
    """Return what stands for torch's class: a function that takes its arguments."""
    return partial(rnnkit.RNN, kind.__name__.lower())


def twins(kind, arguments, dtype, training):
    """Return torch's module and the layer, with the same weights."""
    reference = kind(*arguments.args, **arguments.kwargs).to(dtype).train(training)
    layer = layer_like(kind)(*arguments.args, **arguments.kwargs).to(dtype).train(training)
    layer.load_state_dict(reference.state_dict())
    return reference, layer


def leaves(module, input, hx=None):
    """Return all that gradients are taken of, by name."""
    states = () if hx is None else hx if isinstance(hx, tuple) else (hx,)
    given = {"input": input.data if isinstance(input, PackedSequence) else input}
    return given | {f"hx {place}": state for place, state in enumerate(states)} | dict(module.named_parameters())


def is_packed(sample):
    return isinstance(sample.forward_input.args[0], PackedSequence)


@pytest.mark.covering(1)
@every_mode
@every_dtype
@every_module
def test_samples(kind, dtype, training, outcome, assert_same):
    torch.manual_seed(0)
    for sample in samples(kind, dtype, training):
        reference, layer = twins(kind, sample.constructor_input, dtype, training)
        given = sample.forward_input.args
        found = outcome(layer(*given), leaves(layer, *given))
        expected = outcome(reference(*given), leaves(reference, *given))
        assert_same(found, expected)


@every_mode
@every_dtype
@every_module
def test_torch_s_references(kind, dtype, training, outcome, assert_same):
    """The reference runs the module on a batch of one; it takes no packed sequence."""
    torch.manual_seed(0)
    padded = [sample for sample in samples(kind, dtype, training) if not is_packed(sample)]
    assert len(padded) >= 16
    for sample in padded:
        given = sample.forward_input.args
        _, layer = twins(kind, sample.constructor_input, dtype, training)
        found = outcome(layer(*given), dict(layer.named_parameters()))
        assert_same(found, outcome(sample.reference_fn(layer, *given), dict(layer.named_parameters())))


def test_packed_samples_are_among_them():
    assert sum(map(is_packed, samples(nn.GRU, torch.float64, True))) >= 16


def refusal(make, sample):
    """Return the error that the sample's faulty half raises: the construction, or the call."""
    arguments, given = sample.module_error_input.constructor_input, sample.module_error_input.forward_input
    if sample.error_on.name == "CONSTRUCTION_ERROR":
        with pytest.raises(sample.error_type) as caught:
            make(*arguments.args, **arguments.kwargs)
    else:
        module = make(*arguments.args, **arguments.kwargs)
        with pytest.raises(sample.error_type) as caught:
            module(*given.args, **given.kwargs)
    return caught.value


@every_mode
@every_dtype
@every_module
def test_what_torch_refuses(kind, dtype, training):
    for sample in refused(kind, dtype, training):
        assert re.search(sample.error_regex, str(refusal(kind, sample)))
        error = refusal(layer_like(kind), sample)
        assert isinstance(error, rnnkit.errors.UsageError)
        assert "\n" not in str(error)
        for words in CULPRITS[sample.error_regex]:
            assert words in str(error)
