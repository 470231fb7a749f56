"""Transcribed from the papers, not from the cells."""

import numpy as np

from .transcription import Equation, Peer, blocks, copy_alike, sigmoid


def janet(w, x, state, beta=1.0):
    W, U = blocks(w, "weight_ih", "f", "n"), blocks(w, "weight_hh", "f", "n")
    b, d = blocks(w, "bias_ih", "f", "n"), blocks(w, "bias_hh", "f", "n")
    (h,) = state
    s = W["f"] @ x + b["f"] + U["f"] @ h + d["f"]
    candidate = np.tanh(W["n"] @ x + b["n"] + U["n"] @ h + d["n"])
    h = sigmoid(s) * h + (1 - sigmoid(s - beta)) * candidate
    return h, (h,)


EQUATIONS = {"janet": Equation(janet, [{}, {"beta": 0.5}])}

PEERS = {"janet": Peer("JANETCell", copy_alike)}
