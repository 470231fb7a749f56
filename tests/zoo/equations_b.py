"""Transcribed from the papers, not from the cells."""

import numpy as np
import torch

from .transcription import Equation, Peer, blocks, copy_alike, relu, sigmoid


def mgu(w, x, state):
    W, U = blocks(w, "weight_ih", "f", "h"), blocks(w, "weight_hh", "f", "h")
    b, d = blocks(w, "bias_ih", "f", "h"), blocks(w, "bias_hh", "f", "h")
    (h,) = state
    f = sigmoid(np.concatenate([U["f"], W["f"]], axis=1) @ np.concatenate([h, x]) + b["f"] + d["f"])
    candidate = np.tanh(np.concatenate([U["h"], W["h"]], axis=1) @ np.concatenate([f * h, x]) + b["h"] + d["h"])
    h = (1 - f) * h + f * candidate
    return h, (h,)


def heck_salem(f, U, d, w, x, h):
    candidate = np.tanh(w["weight_ih"] @ x + U @ (h * f) + w["bias_ih"] + d)
    h = (1 - f) * h + f * candidate
    return h, (h,)


def mgu1(w, x, state):
    U, d = blocks(w, "weight_hh", "f", "h"), blocks(w, "bias_hh", "f", "h")
    (h,) = state
    return heck_salem(sigmoid(U["f"] @ h + d["f"]), U["h"], d["h"], w, x, h)


def mgu2(w, x, state):
    (h,) = state
    return heck_salem(sigmoid(w["weight_fh"] @ h), w["weight_hh"], w["bias_hh"], w, x, h)


def mgu3(w, x, state):
    (h,) = state
    return heck_salem(sigmoid(w["bias_f"]), w["weight_hh"], w["bias_hh"], w, x, h)


def mut1(w, x, state):
    W, b = blocks(w, "weight_ih", "z", "r", "h"), blocks(w, "bias_ih", "z", "r", "h")
    U, d = blocks(w, "weight_hh", "r", "h"), blocks(w, "bias_hh", "r", "h")
    (h,) = state
    widened = W["h"] @ x + b["h"]
    z = sigmoid(W["z"] @ x + b["z"])
    r = sigmoid(W["r"] @ x + U["r"] @ h + b["r"] + d["r"])
    h = np.tanh(U["h"] @ (r * h) + np.tanh(widened) + d["h"]) * z + h * (1 - z)
    return h, (h,)


def mut2(w, x, state):
    W, U = blocks(w, "weight_ih", "z", "r", "h"), blocks(w, "weight_hh", "z", "r", "h")
    b, d = blocks(w, "bias_ih", "z", "r", "h"), blocks(w, "bias_hh", "z", "r", "h")
    (h,) = state
    widened = W["r"] @ x + b["r"]
    z = sigmoid(W["z"] @ x + U["z"] @ h + b["z"] + d["z"])
    r = sigmoid(widened + U["r"] @ h + d["r"])
    h = np.tanh(U["h"] @ (r * h) + W["h"] @ x + b["h"] + d["h"]) * z + h * (1 - z)
    return h, (h,)


def mut3(w, x, state):
    W, U = blocks(w, "weight_ih", "z", "r", "h"), blocks(w, "weight_hh", "z", "r", "h")
    b, d = blocks(w, "bias_ih", "z", "r", "h"), blocks(w, "bias_hh", "z", "r", "h")
    (h,) = state
    z = sigmoid(W["z"] @ x + U["z"] @ np.tanh(h) + b["z"] + d["z"])
    r = sigmoid(W["r"] @ x + U["r"] @ h + b["r"] + d["r"])
    h = np.tanh(U["h"] @ (r * h) + W["h"] @ x + b["h"] + d["h"]) * z + h * (1 - z)
    return h, (h,)


def ligru(w, x, state):
    W, U = blocks(w, "weight_ih", "z", "h"), blocks(w, "weight_hh", "z", "h")
    b, d = blocks(w, "bias_ih", "z", "h"), blocks(w, "bias_hh", "z", "h")
    (h,) = state
    z = sigmoid(W["z"] @ x + b["z"] + U["z"] @ h + d["z"])
    candidate = relu(W["h"] @ x + b["h"] + U["h"] @ h + d["h"])
    h = z * h + (1 - z) * candidate
    return h, (h,)


def lightru(w, x, state):
    (h,) = state
    candidate = np.tanh(w["weight_in"] @ x)
    f = sigmoid(w["weight_ih"] @ x + w["weight_hh"] @ h + w["bias_ih"] + w["bias_hh"])
    h = (1 - f) * h + f * candidate
    return h, (h,)


def cfn(w, x, state):
    V, U = blocks(w, "weight_ih", "theta", "eta"), blocks(w, "weight_hh", "theta", "eta")
    b, d = blocks(w, "bias_ih", "theta", "eta"), blocks(w, "bias_hh", "theta", "eta")
    (h,) = state
    theta = sigmoid(U["theta"] @ h + V["theta"] @ x + b["theta"] + d["theta"])
    eta = sigmoid(U["eta"] @ h + V["eta"] @ x + b["eta"] + d["eta"])
    h = theta * np.tanh(h) + eta * np.tanh(w["weight_in"] @ x)
    return h, (h,)


def ugrnn(w, x, state, nonlinearity="tanh"):
    W, U = blocks(w, "weight_ih", "c", "g"), blocks(w, "weight_hh", "c", "g")
    b, d = blocks(w, "bias_ih", "c", "g"), blocks(w, "bias_hh", "c", "g")
    s = {"tanh": np.tanh, "relu": relu}[nonlinearity]
    (h,) = state
    c = s(U["c"] @ h + W["c"] @ x + b["c"] + d["c"])
    g = sigmoid(U["g"] @ h + W["g"] @ x + b["g"] + d["g"])
    h = g * h + (1 - g) * c
    return h, (h,)


def minimalrnn(w, x, state):
    (h,) = state
    z = np.tanh(w["weight_ih"] @ x + w["bias_ih"])
    u = sigmoid(w["weight_hh"] @ h + w["weight_uz"] @ z + w["bias_hh"])
    h = u * h + (1 - u) * z
    return h, (h,)


def ran(w, x, state, nonlinearity="tanh"):
    W, U = blocks(w, "weight_ih", "i", "f"), blocks(w, "weight_hh", "i", "f")
    b, d = blocks(w, "bias_ih", "i", "f"), blocks(w, "bias_hh", "i", "f")
    h, c = state
    content = w["weight_ic"] @ x
    i = sigmoid(U["i"] @ h + W["i"] @ x + b["i"] + d["i"])
    f = sigmoid(U["f"] @ h + W["f"] @ x + b["f"] + d["f"])
    c = i * content + f * c
    h = {"tanh": np.tanh, "identity": np.copy}[nonlinearity](c)
    return h, (h, c)


def atr(w, x, state):
    (h,) = state
    p = w["weight_ih"] @ x + w.get("bias_ih", 0)
    q = w["weight_hh"] @ h + w.get("bias_hh", 0)
    i, f = sigmoid(p + q), sigmoid(p - q)
    h = i * p + f * h
    return h, (h,)


def copy_lightru(peer, cell):
    copy_gates(peer, cell, torch.cat([cell.weight_in, cell.weight_ih]))
    peer.bias_ih[: cell.hidden_size] = 0
    peer.bias_ih[cell.hidden_size :] = cell.bias_ih


def copy_cfn(peer, cell):
    copy_gates(peer, cell, torch.cat([cell.weight_ih, cell.weight_in]))
    peer.bias_ih[: 2 * cell.hidden_size] = cell.bias_ih
    peer.bias_ih[2 * cell.hidden_size :] = 0


def copy_ran(peer, cell):
    copy_gates(peer, cell, torch.cat([cell.weight_ic, cell.weight_ih]))
    peer.bias_ih.copy_(cell.bias_ih)


def copy_gates(peer, cell, weight_ih):
    """Copy the weights, of which the content is a block in theirs and a tensor of its own in ours, and b_h."""
    peer.weight_ih.copy_(weight_ih)
    peer.weight_hh.copy_(cell.weight_hh)
    peer.bias_hh.copy_(cell.bias_hh)


def copy_minimalrnn(peer, cell):
    copy_alike(peer, cell)
    peer.weight_mm.copy_(cell.weight_uz)


EQUATIONS = {
    "mgu": Equation(mgu),
    "mgu1": Equation(mgu1),
    "mgu2": Equation(mgu2),
    "mgu3": Equation(mgu3),
    "mut1": Equation(mut1),
    "mut2": Equation(mut2),
    "mut3": Equation(mut3),
    "ligru": Equation(ligru),
    "lightru": Equation(lightru),
    "cfn": Equation(cfn),
    "ugrnn": Equation(ugrnn, [{}, {"nonlinearity": "relu"}]),
    "minimalrnn": Equation(minimalrnn),
    "ran": Equation(ran, [{}, {"nonlinearity": "identity"}]),
    "atr": Equation(atr, [{}, {"bias": False}]),
}

PEERS = {
    "mgu": Peer("MGUCell", copy_alike),
    "mut1": Peer("MUT1Cell", copy_alike),
    "mut2": Peer("MUT2Cell", copy_alike),
    "mut3": Peer("MUT3Cell", copy_alike),
    "ligru": Peer("LiGRUCell", copy_alike),
    "lightru": Peer("LightRUCell", copy_lightru),
    "cfn": Peer("CFNCell", copy_cfn),
    "ugrnn": Peer("UGRNNCell", copy_alike),
    "minimalrnn": Peer("MinimalRNNCell", copy_minimalrnn),
    "ran": Peer("RANCell", copy_ran),
    "atr": Peer("ATRCell", copy_alike),
}
