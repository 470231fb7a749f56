"""What an error offers in place of a name that there is not."""

import pytest

from rnnkit.errors import nearest


@pytest.mark.parametrize(
    ("name", "choices", "meant"),
    [
        ("seq_len", ["answers", "train_len", "test_len"], None),
        ("seq_len", ["train_n", "test_n"], None),
        ("test_lne", ["answers", "train_len", "test_len"], "test_len"),
        ("test-len", ["answers", "train_len", "test_len"], "test_len"),
        ("train_length", ["answers", "train_len", "test_len"], "train_len"),
        ("hidden_size", ["hidden", "proj_size"], "hidden"),
        ("layer", ["layer_norm", "cell"], "layer_norm"),
        ("save_last", ["save_every", "layers"], None),
        ("weight_dacay", ["weight_decay"], "weight_decay"),
        ("lsmt", ["gru", "lstm"], "lstm"),
        ("zzz", ["gru", "lstm"], None),
    ],
)
def test_offers_a_slip_of_the_pen_and_not_another_word(name, choices, meant):
    assert nearest(name, choices) == ("" if meant is None else f" (did you mean {meant!r}?)")
