"""Transcribed from the papers, not from the cells."""

import numpy as np
import torch

from .transcription import Equation, Peer, blocks, copy_alike, relu, sigmoid


def total(w, *names):
    """Return the sum of biases, each zero where the cell is built without."""
    return sum(w.get(name, 0.0) for name in names)


def indrnn(w, x, state):
    (h,) = state
    a = w["weight_ih"] @ x + total(w, "bias_ih")
    h = np.array([max(a[k] + w["u"][k] * h[k], 0.0) for k in range(len(h))])
    return h, (h,)


def irnn(w, x, state):
    (h,) = state
    h = relu(w["weight_ih"] @ x + w["weight_hh"] @ h + total(w, "bias_ih", "bias_hh"))
    return h, (h,)


def fastrnn(w, x, state):
    (h,) = state
    candidate = np.tanh(w["weight_ih"] @ x + w["weight_hh"] @ h + total(w, "bias_ih", "bias_hh"))
    h = sigmoid(w["alpha"]) * candidate + sigmoid(w["beta"]) * h
    return h, (h,)


def fastgrnn(w, x, state):
    (h,) = state
    W, U = w["weight_ih"], w["weight_hh"]
    zeta, nu = sigmoid(w["zeta"]), sigmoid(w["nu"])
    z = sigmoid(W @ x + U @ h + w["bias_z"])
    candidate = np.tanh(W @ x + U @ h + w["bias_n"])
    h = (zeta * (1 - z) + nu) * candidate + z * h
    return h, (h,)


def cornn(w, x, state, dt=0.042, gamma=2.7, epsilon=4.7):
    y, z = state
    drive = np.tanh(w["weight_hh"] @ y + w["weight_zh"] @ z + w["weight_ih"] @ x + total(w, "bias_ih", "bias_hh"))
    z = z + dt * drive - dt * gamma * y - dt * epsilon * z
    y = y + dt * z
    return y, (y, z)


def lem(w, x, state, dt=1.0):
    V, W = blocks(w, "weight_ih", "d", "e", "z", "y"), blocks(w, "weight_hh", "d", "e", "z")
    b, c = blocks(w, "bias_ih", "d", "e", "z", "y"), blocks(w, "bias_hh", "d", "e", "z")
    y, z = state
    step = dt * sigmoid(W["d"] @ y + V["d"] @ x + b["d"] + c["d"])
    step_bar = dt * sigmoid(W["e"] @ y + V["e"] @ x + b["e"] + c["e"])
    z = (1 - step) * z + step * np.tanh(W["z"] @ y + V["z"] @ x + b["z"] + c["z"])
    y = (1 - step_bar) * y + step_bar * np.tanh(w["weight_zy"] @ z + V["y"] @ x + b["y"])
    return y, (y, z)


def antisymmetric(w, x, state, epsilon=0.01, gamma=0.01):
    (h,) = state
    W = w["weight_hh"]
    M = W - W.T - gamma * np.eye(len(h))
    h = h + epsilon * np.tanh(M @ h + w["weight_ih"] @ x + total(w, "bias_ih"))
    return h, (h,)


def gatedantisymmetric(w, x, state, epsilon=0.01, gamma=0.01):
    (h,) = state
    V, b = blocks(w, "weight_ih", "z", "n"), blocks(w, "bias_ih", "z", "n")
    W = w["weight_hh"]
    M = W - W.T - gamma * np.eye(len(h))
    z = sigmoid(M @ h + V["z"] @ x + b["z"])
    h = h + epsilon * z * np.tanh(M @ h + V["n"] @ x + b["n"])
    return h, (h,)


def unicornn(w, x, state, dt=0.19, alpha=30.65):
    y, z = (part.copy() for part in state)
    a = w["weight_ih"] @ x + total(w, "bias_ih")
    for k in range(len(y)):
        own = dt * (0.5 + 0.5 * np.tanh(w["c"][k] / 2))
        z[k] = z[k] - own * (np.tanh(w["w"][k] * y[k] + a[k]) + alpha * y[k])
        y[k] = y[k] + own * z[k]
    return y, (y, z)


def trnn(w, x, state):
    (h,) = state
    W, V = np.split(w["weight_ih"], 2)
    b_z, b_f = np.split(w["bias_ih"], 2) if "bias_ih" in w else (0.0, 0.0)
    f = sigmoid(V @ x + b_f)
    h = f * h + (1 - f) * (W @ x + b_z)
    return h, (h,)


def typed(w, x, last):
    """Return z, f, o of the strongly-typed cells."""
    W, V = blocks(w, "weight_ih", "z", "f", "o"), blocks(w, "weight_hh", "z", "f", "o")
    b, d = blocks(w, "bias_ih", "z", "f", "o"), blocks(w, "bias_hh", "z", "f", "o")
    z, f, o = (W[k] @ x + V[k] @ last + b[k] + d[k] for k in ("z", "f", "o"))
    return z, sigmoid(f), np.tanh(o)


def tgru(w, x, state):
    h, last = state
    z, f, o = typed(w, x, last)
    h = f * h + z * o
    return h, (h, x)


def tlstm(w, x, state):
    c, last = state
    z, f, o = typed(w, x, last)
    c = f * c + (1 - f) * z
    return c * o, (c, x)


def taugru(w, x, state, delay=5):
    names = ("u", "g", "a", "v")
    W, U = blocks(w, "weight_ih", *names), blocks(w, "weight_hh", *names)
    b, d = blocks(w, "bias_ih", *names), blocks(w, "bias_hh", *names)
    past = {-k: tensor for k, tensor in enumerate(state)}  # by the step that each is of
    seen = {"u": past[0], "g": past[0], "a": past[0], "v": past[-delay]}
    s = {k: W[k] @ x + b[k] + U[k] @ seen[k] + d[k] for k in names}
    g = sigmoid(s["g"])
    h = (1 - g) * past[0] + g * (np.tanh(s["u"]) + sigmoid(s["a"]) * np.tanh(s["v"]))
    return h, (h, *(past[-k] for k in range(delay)))


def miru(w, x, state, update=0.5, reset=0.5):
    (h,) = state
    candidate = np.tanh(w["weight_ih"] @ x + w["weight_hh"] @ (reset * h) + total(w, "bias_ih", "bias_hh"))
    h = update * h + (1 - update) * candidate
    return h, (h,)


def lipschitz(w, x, state, beta=0.75, gamma=0.001, epsilon=0.03):
    (h,) = state
    A, W = ((1 - beta) * (M + M.T) + beta * (M - M.T) - gamma * np.eye(len(h)) for M in np.split(w["weight_hh"], 2))
    z = W @ h + w["weight_ih"] @ x + total(w, "bias_ih")
    h = h + epsilon * A @ h + epsilon * np.tanh(z)
    return h, (h,)


def plrnn(w, x, state):
    (z,) = state
    W = np.array([[0.0 if i == j else w["weight_hh"][i, j] for j in range(len(z))] for i in range(len(z))])
    z = np.diag(w["A"]) @ z + W @ relu(z) + w["weight_ih"] @ x + total(w, "bias_ih", "bias_hh")
    return z, (z,)


def elstm(w, x, state):
    (c,) = state
    (F, Z, W), (b_f, b_z, b_o) = np.split(w["weight_ih"], 3), np.split(w["bias_ih"], 3)
    f = sigmoid(F @ x + b_f + w["w_f"] * c)
    z = np.tanh(Z @ x + b_z + w["w_z"] * c)
    c = f * c + (1 - f) * z
    o = sigmoid(W @ x + b_o + w["weight_hh"] @ c + w["bias_hh"])
    return o * c, (c,)


def echostate(w, x, state, spectral_radius=0.9, leak=1.0):
    (h,) = state
    np.testing.assert_allclose(max(abs(np.linalg.eigvals(w["weight_hh"]))), spectral_radius, rtol=1e-5)
    h = (1 - leak) * h + leak * np.tanh(w["weight_ih"] @ x + w["weight_hh"] @ h + w["bias_ih"])
    return h, (h,)


NO_BIAS = {"bias": False}

EQUATIONS = {
    "indrnn": Equation(indrnn, [{}, NO_BIAS]),
    "irnn": Equation(irnn, [{}, {"scale": 0.01}, NO_BIAS]),
    "fastrnn": Equation(fastrnn, [{}, NO_BIAS]),
    "fastgrnn": Equation(fastgrnn),
    "cornn": Equation(cornn, [{}, {"dt": 0.1, "gamma": 0.5, "epsilon": 0.7}]),
    "lem": Equation(lem, [{}, {"dt": 0.3}]),
    "antisymmetric": Equation(antisymmetric, [{}, {"epsilon": 0.5, "gamma": 0.2}, {"gamma": 0, "bias": False}]),
    "gatedantisymmetric": Equation(gatedantisymmetric, [{}, {"epsilon": 0.5, "gamma": 0.2}]),
    "unicornn": Equation(unicornn, [{}, {"dt": 0.1, "alpha": 2.0}, NO_BIAS]),
    "trnn": Equation(trnn, [{}, NO_BIAS]),
    "tgru": Equation(tgru),
    "tlstm": Equation(tlstm),
    "taugru": Equation(taugru, [{}, {"delay": 1}, {"delay": 3}]),
    "miru": Equation(miru, [{}, {"update": 0.9, "reset": 0.2}, NO_BIAS]),
    "lipschitz": Equation(lipschitz, [{}, {"beta": 0.6, "gamma": 0.1, "epsilon": 0.5}]),
    "plrnn": Equation(plrnn, [{}, NO_BIAS]),
    "elstm": Equation(elstm),
    "echostate": Equation(echostate, [{}, {"spectral_radius": 1.2, "leak": 0.3}, {"scale": 0.1}]),
}


def copied(*pairs, **fills):
    """Return a copy function: pairs are "theirs=ours" or a name of both, fills are constants of theirs."""

    def copy(peer, cell):
        for pair in pairs:
            theirs, _, ours = pair.partition("=")
            getattr(peer, theirs).copy_(getattr(cell, ours or theirs))
        for theirs, value in fills.items():
            getattr(peer, theirs).fill_(value)

    return copy


def copy_fastgrnn(peer, cell):
    copied("weight_ih", "weight_hh", "zeta", "nu", bias_hh=0)(peer, cell)
    peer.bias_ih[:H].copy_(cell.bias_z)
    peer.bias_ih[H:].copy_(cell.bias_n)


def copy_lem(peer, cell):
    copied("weight_ch=weight_zy", bias_ch=0)(peer, cell)
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        ours = getattr(cell, name)
        getattr(peer, name).copy_(ours[[*range(H, 2 * H), *range(H), *range(2 * H, len(ours))]])


def copy_taugru(peer, cell):
    """Copy the weights, whose blocks are u, z, g, a there, and let the peer, which keeps no delay line, take one."""
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        u, g, a, v = getattr(cell, name).split(H)
        getattr(peer, name).copy_(torch.cat((u, v, g, a)))
    step = peer.forward

    def forward(x, state):
        h = step(x, state[0], state[-1])
        return h, *state[:-1]

    peer.forward = forward


H = 8

PEERS = {
    "indrnn": Peer("IndRNNCell", copied("weight_ih", "bias_ih", "vector_u=u", bias_hh=0), {}, {"nonlinearity": "relu"}),
    "fastrnn": Peer("FastRNNCell", copied("weight_ih", "weight_hh", "bias_ih", "bias_hh", "alpha", "beta")),
    "fastgrnn": Peer("FastGRNNCell", copy_fastgrnn, {}, {"nonlinearity": "sigmoid"}),
    "cornn": Peer(
        "coRNNCell",
        copied("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_ch=weight_zh", bias_ch=0),
        {"dt": 0.1, "gamma": 0.5, "epsilon": 0.7},
        {"dt": 0.1, "gamma": 0.5, "epsilon": 0.7},
    ),
    "lem": Peer(
        "LEMCell",
        copy_lem,
        differs="Rusch et al. 2022, the system of four equations: y_n sees W_y z_n, the new z; theirs sees the old one",
    ),
    "antisymmetric": Peer(
        "AntisymmetricRNNCell",
        copied("weight_ih", "weight_hh", "bias_ih", bias_hh=0),
        theirs={"epsilon": 0.01, "gamma": 0.01},
    ),
    "gatedantisymmetric": Peer(
        "GatedAntisymmetricRNNCell",
        copied("weight_ih", "weight_hh", "bias_ih", bias_hh=0),
        theirs={"epsilon": 0.01, "gamma": 0.01},
    ),
    "unicornn": Peer(
        "UnICORNNCell",
        copied("weight_ih", "bias_ih", "weight_hh=w", "weight_ch=c"),
        {"dt": 0.1, "alpha": 2.0},
        {"dt": 0.1, "alpha": 2.0, "recurrent_bias": True},
    ),
    "trnn": Peer("TRNNCell", copied("weight_ih", "bias_ih")),
    "tgru": Peer("TGRUCell", copy_alike),
    "tlstm": Peer("TLSTMCell", copy_alike),
    "taugru": Peer("tauGRUCell", copy_taugru),
    "miru": Peer(
        "MiRU2Cell",
        copy_alike,
        {"update": 0.9, "reset": 0.2},
        {"update_coefficient": 0.9, "reset_coefficient": 0.2},
    ),
}
