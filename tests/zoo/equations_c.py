"""Transcribed from the papers, not from the cells."""

import numpy as np
import torch

from .transcription import Equation, Peer, blocks, copy_alike, relu, sigmoid, softplus


def intersection(w, x, state):
    names = ("y", "h", "gy", "gh")
    W, V = blocks(w, "weight_ih", *names), blocks(w, "weight_hh", *names)
    b, d = blocks(w, "bias_ih", *names), blocks(w, "bias_hh", *names)
    (h,) = state
    y_in = relu(W["y"] @ x + b["y"] + V["y"] @ h + d["y"])
    h_in = np.tanh(W["h"] @ x + b["h"] + V["h"] @ h + d["h"])
    g_y = sigmoid(W["gy"] @ x + b["gy"] + V["gy"] @ h + d["gy"])
    g_h = sigmoid(W["gh"] @ x + b["gh"] + V["gh"] @ h + d["gh"])
    return g_y * (w["weight_x"] @ x) + (1 - g_y) * y_in, (g_h * h + (1 - g_h) * h_in,)


def multiplicative(w, x, state):
    W, b = (blocks(w, name, "m", "i", "f", "o", "g") for name in ("weight_ih", "bias_ih"))
    V = blocks(w, "weight_mh", "i", "f", "o", "g")
    h, c = state
    m = (W["m"] @ x + b["m"]) * (w["weight_hh"] @ h + w["bias_hh"])
    i = sigmoid(W["i"] @ x + V["i"] @ m + b["i"])
    f = sigmoid(W["f"] @ x + V["f"] @ m + b["f"])
    o = sigmoid(W["o"] @ x + V["o"] @ m + b["o"])
    c = f * c + i * np.tanh(W["g"] @ x + V["g"] @ m + b["g"])
    h = np.tanh(c * o)
    return h, (h, c)


def nas(w, x, state):
    names = range(8)
    W, U = blocks(w, "weight_ih", *names), blocks(w, "weight_hh", *names)
    b, d = blocks(w, "bias_ih", *names), blocks(w, "bias_hh", *names)
    h, c = state
    combine = {3: np.multiply}
    activation = {0: sigmoid, 1: relu, 2: sigmoid, 3: relu, 4: np.tanh, 5: sigmoid, 6: np.tanh, 7: sigmoid}
    leaf = [activation[k](combine.get(k, np.add)(W[k] @ x + b[k], U[k] @ h + d[k])) for k in names]
    first = np.tanh(leaf[0] * leaf[1])
    second = np.tanh(leaf[2] + leaf[3])
    third = np.tanh(leaf[4] * leaf[5])
    fourth = sigmoid(leaf[6] + leaf[7])
    c = np.tanh(first + c) * second
    h = np.tanh(c * np.tanh(third + fourth))
    return h, (h, c)


def scrn(w, x, state, alpha=0.95):
    h, s = state
    (A, B), (R, P) = np.split(w["weight_ih"], [len(h)]), np.split(w["weight_hh"], [len(h)], axis=1)
    s = (1 - alpha) * B @ x + alpha * s
    h = sigmoid(P @ s + A @ x + R @ h)
    return np.concatenate([h, s]), (h, s)


def star(w, x, state):
    W, b = blocks(w, "weight_ih", "z", "k"), blocks(w, "bias_ih", "z", "k")
    (h,) = state
    z = np.tanh(W["z"] @ x + b["z"])
    k = sigmoid(W["k"] @ x + b["k"] + w["weight_hh"] @ h + w["bias_hh"])
    h = np.tanh((1 - k) * h + k * z)
    return h, (h,)


def bistable(w, x, h, seen):
    U, b = blocks(w, "weight_ih", "a", "c", "h"), blocks(w, "bias_ih", "a", "c", "h")
    d = blocks(w, "bias_hh", "a", "c")
    a = 1 + np.tanh(U["a"] @ x + b["a"] + seen["a"] + d["a"])
    c = sigmoid(U["c"] @ x + b["c"] + seen["c"] + d["c"])
    h = c * h + (1 - c) * np.tanh(U["h"] @ x + b["h"] + a * h)
    return h, (h,)


def br(w, x, state):
    (h,) = state
    return bistable(w, x, h, {name: vector * h for name, vector in blocks(w, "weight_hh", "a", "c").items()})


def nbr(w, x, state):
    (h,) = state
    return bistable(w, x, h, {name: matrix @ h for name, matrix in blocks(w, "weight_hh", "a", "c").items()})


def sgrn(w, x, state):
    (h,) = state
    s = w["weight_ih"] @ x + w["bias_ih"]
    f = sigmoid(s + w["weight_hh"] @ h + w["bias_hh"])
    i = 1 - f
    h = np.tanh(i * s + f * h)
    return h, (h,)


def hard_sigmoid(z):
    return np.clip(0.2 * z + 0.5, 0, 1)


def simple_gated(w, x, h, output):
    W, b = blocks(w, "weight_ih", "g", "z"), blocks(w, "bias_ih", "g", "z")
    x_g = W["g"] @ x + b["g"]
    z_g = np.tanh(w["weight_zxh"] @ (x_g * h))
    z = hard_sigmoid(W["z"] @ x + b["z"] + w["weight_hh"] @ h + w["bias_hh"])
    h = (1 - z) * h + z * output(z_g * h)
    return h, (h,)


def sgu(w, x, state):
    return simple_gated(w, x, *state, softplus)


def dsgu(w, x, state):
    return simple_gated(w, x, *state, lambda gated: sigmoid(w["weight_go"] @ gated))


def wmclstm(w, x, state):
    names = ("i", "f", "g", "o")
    W, U = blocks(w, "weight_ih", *names), blocks(w, "weight_hh", *names)
    b, d = blocks(w, "bias_ih", *names), blocks(w, "bias_hh", *names)
    M = blocks(w, "weight_ch", "i", "f", "o")
    h, c = state
    i = sigmoid(W["i"] @ x + U["i"] @ h + np.tanh(M["i"] @ c) + b["i"] + d["i"])
    f = sigmoid(W["f"] @ x + U["f"] @ h + np.tanh(M["f"] @ c) + b["f"] + d["f"])
    c = f * c + i * np.tanh(W["g"] @ x + U["g"] @ h + b["g"] + d["g"])
    o = sigmoid(W["o"] @ x + U["o"] @ h + np.tanh(M["o"] @ c) + b["o"] + d["o"])
    h = o * np.tanh(c)
    return h, (h, c)


def softmax(z):
    return np.exp(z) / np.exp(z).sum()


def mclstm(w, x, state, time_dependent=True):
    (c,) = state
    size = len(c)
    mass, a = x[0], x[1:]
    share = c / (sum(abs(c)) + 1e-5)
    rows = w["weight_ih"] @ a + w["weight_ch"] @ share + w["bias_ih"]
    i, o = softmax(rows[:size]), sigmoid(rows[size : 2 * size])
    columns = np.reshape(rows[2 * size :], (size, size)) if time_dependent else w["weight_r"]
    m = i * mass
    for source in range(size):
        m = m + softmax(columns[source]) * c[source]
    out, kept = o * m, (1 - o) * m
    assert np.isclose(sum(out) + sum(kept), sum(c) + mass)  # nothing is lost
    return out, (kept,)


def reslstm(w, x, state):
    names = ("i", "f", "g", "o")
    W, U = blocks(w, "weight_ih", *names), blocks(w, "weight_hh", *names)
    b, d = blocks(w, "bias_ih", *names), blocks(w, "bias_hh", *names)
    h, c = state
    i = sigmoid(W["i"] @ x + U["i"] @ h + w["peephole_i"] * c + b["i"] + d["i"])
    f = sigmoid(W["f"] @ x + U["f"] @ h + w["peephole_f"] * c + b["f"] + d["f"])
    c = f * c + i * np.tanh(W["g"] @ x + U["g"] @ h + b["g"] + d["g"])
    o = sigmoid(W["o"] @ x + U["o"] @ h + w["peephole_o"] * c + b["o"] + d["o"])
    r = np.tanh(c)
    m = w["weight_p"] @ r
    h = o * (m + w["weight_x"] @ x)
    return h, (h, c)


def originallstm(w, x, state, k=2.0):
    W, U = blocks(w, "weight_ih", "i", "g", "o"), blocks(w, "weight_hh", "i", "g", "o")
    b, d = blocks(w, "bias_ih", "i", "g", "o"), blocks(w, "bias_hh", "i", "g", "o")
    h, c = state
    net = {name: W[name] @ x + b[name] + U[name] @ h + d[name] for name in ("i", "g", "o")}
    g = 2 * k * sigmoid(2 * net["g"] / k) - k  # for k = 2 the paper's 4 / (1 + exp(-net)) - 2
    c = c + sigmoid(net["i"]) * g
    h = sigmoid(net["o"]) * (2 * sigmoid(2 * c / k) - 1)  # the paper's 2 / (1 + exp(-c)) - 1
    return h, (h, c)


def cifg(w, x, state):
    W, U = blocks(w, "weight_ih", "i", "g", "o"), blocks(w, "weight_hh", "i", "g", "o")
    b, d = blocks(w, "bias_ih", "i", "g", "o"), blocks(w, "bias_hh", "i", "g", "o")
    h, c = state
    p = {name: w.get(f"peephole_{name}", np.zeros_like(c)) for name in ("i", "o")}
    i = sigmoid(W["i"] @ x + U["i"] @ h + p["i"] * c + b["i"] + d["i"])
    f = 1 - i
    c = f * c + i * np.tanh(W["g"] @ x + U["g"] @ h + b["g"] + d["g"])
    o = sigmoid(W["o"] @ x + U["o"] @ h + p["o"] * c + b["o"] + d["o"])
    h = o * np.tanh(c)
    return h, (h, c)


EQUATIONS = {
    "intersection": Equation(intersection),
    "multiplicative": Equation(multiplicative),
    "nas": Equation(nas),
    "scrn": Equation(scrn, [{}, {"context_size": 5, "alpha": 0.5}]),
    "star": Equation(star),
    "br": Equation(br),
    "nbr": Equation(nbr),
    "sgrn": Equation(sgrn),
    "sgu": Equation(sgu),
    "dsgu": Equation(dsgu),
    "wmclstm": Equation(wmclstm),
    "mclstm": Equation(mclstm, [{}, {"time_dependent": False}]),
    "reslstm": Equation(reslstm),
    "originallstm": Equation(originallstm, [{}, {"k": 1.0}]),
    "cifg": Equation(cifg, [{}, {"peepholes": False}]),
}


class HardSigmoid(torch.nn.Module):
    """Theano's, of slope 1/5; torch's has 1/6."""

    def forward(self, z):
        return (z / 5 + 0.5).clamp(0, 1)


def copy_multiplicative(peer, cell):
    """Theirs has the rows m, i, f, g, o, and a bias beside the products with m."""
    order = [0, 1, 2, 4, 3]
    size = cell.hidden_size
    for name in ("weight_ih", "bias_ih"):
        parts = getattr(cell, name).split(size)
        getattr(peer, name).copy_(torch.cat([parts[k] for k in order]))
    i, f, o, g = cell.weight_mh.split(size)
    peer.weight_mh.copy_(torch.cat([i, f, g, o]))
    peer.weight_hh.copy_(cell.weight_hh)
    peer.bias_hh.copy_(cell.bias_hh)
    peer.bias_mh.zero_()


def copy_scrn(peer, cell):
    """Theirs has the rows s, h in weight_ih, h and its output in the others; we make the output h + s."""
    A, B = cell.weight_ih.chunk(2)
    R, P = cell.weight_hh.chunk(2, dim=1)
    unit = torch.eye(cell.hidden_size)
    peer.alpha.fill_(cell.alpha)
    peer.weight_ih.copy_(torch.cat([B, A]))
    peer.weight_hh.copy_(torch.cat([R, unit]))
    peer.weight_ch.copy_(torch.cat([P, unit]))
    for bias in (peer.bias_ih, peer.bias_hh, peer.bias_ch):
        bias.zero_()


def copy_simple_gated(peer, cell):
    """Theirs has a bias beside W_zxh, whose rows are g."""
    peer.weight_ih.copy_(cell.weight_ih)
    peer.bias_ih.copy_(cell.bias_ih)
    peer.weight_hh.copy_(torch.cat([cell.weight_zxh, cell.weight_hh]))
    peer.bias_hh.copy_(torch.cat([torch.zeros(cell.hidden_size), cell.bias_hh]))
    if cell.name == "dsgu":
        peer.weight_ho.copy_(cell.weight_go)


def copy_wmclstm(peer, cell):
    copy_alike(peer, cell)
    peer.weight_mh.copy_(cell.weight_ch)
    peer.bias_mh.zero_()


def copy_reslstm(peer, cell):
    copy_alike(peer, cell)
    peer.weight_ph.copy_(torch.cat([cell.peephole_i, cell.peephole_f, cell.peephole_o]))
    peer.weight_proj.copy_(cell.weight_p)
    peer.weight_res.copy_(cell.weight_x)


PEERS = {
    # intersection: theirs has no x of another width than h, mclstm: theirs is a memory controller, another cell
    "multiplicative": Peer(
        "MultiplicativeLSTMCell",
        copy_multiplicative,
        differs="h = tanh(c ⊙ o), which the paper calls slightly different from the usual LSTM; theirs is the usual.",
    ),
    "nas": Peer(
        "NASCell",
        copy_alike,
        differs="The tree's fourth leaf multiplies its two products, as the authors' cell does; theirs adds them.",
    ),
    "scrn": Peer(
        "SCRNCell",
        copy_scrn,
        {"context_size": 8},
        differs="The output reads h and s outside the recurrence; theirs feeds a tanh of it back in place of h.",
    ),
    "star": Peer("STARCell", copy_alike),
    "br": Peer("BRCell", copy_alike),
    "nbr": Peer("NBRCell", copy_alike),
    "sgrn": Peer("SGRNCell", copy_alike),
    "sgu": Peer("SGUCell", copy_simple_gated, theirs={"gate_nonlinearity": HardSigmoid()}),
    "dsgu": Peer("DSGUCell", copy_simple_gated, theirs={"gate_nonlinearity": HardSigmoid()}),
    "wmclstm": Peer("WMCLSTMCell", copy_wmclstm),
    "reslstm": Peer("ResLSTMCell", copy_reslstm),
    "originallstm": Peer("OriginalLSTMCell", copy_alike, {"k": 1.0}),
}
