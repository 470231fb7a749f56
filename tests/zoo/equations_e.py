"""Transcribed from the papers, not from the cells."""

import numpy as np

from .transcription import Equation, Peer, blocks, sigmoid


def mingru(w, x, state):
    (h,) = state
    W, b = blocks(w, "linear.weight", "z", "n"), blocks(w, "linear.bias", "z", "n")
    z = sigmoid(W["z"] @ x + b["z"])
    candidate = W["n"] @ x + b["n"]
    h = (1 - z) * h + z * candidate
    return h, (h,)


def minlstm(w, x, state):
    (h,) = state
    W, b = blocks(w, "linear.weight", "f", "i", "n"), blocks(w, "linear.bias", "f", "i", "n")
    f = sigmoid(W["f"] @ x + b["f"])
    i = sigmoid(W["i"] @ x + b["i"])
    f_share, i_share = f / (f + i), i / (f + i)
    h = f_share * h + i_share * (W["n"] @ x + b["n"])
    return h, (h,)


def lru(w, x, state):
    s = state[0] + 1j * state[1]
    B = blocks(w, "weight_ih", "re", "im")
    B = B["re"] + 1j * B["im"]
    re, im = np.split(w["weight_out"], 2, axis=1)
    C = re + 1j * im
    eigenvalues = np.exp(-np.exp(w["nu"]) + 1j * np.exp(w["theta"]))
    s = np.diag(eigenvalues) @ s + np.exp(w["gamma"]) * (B @ x)
    y = (C @ s).real + w["weight_skip"] @ x
    return y, (s.real, s.imag)


def slstm(w, x, state, exponential_forget=False, heads=1):
    h, c, n, m = state
    c, n = c * np.exp(m), n * np.exp(m)  # as they are without the stabilisation
    names = ("i", "f", "z", "o")
    W, R = blocks(w, "weight_ih", *names), blocks(w, "weight_hh", *names)
    b, d = blocks(w, "bias_ih", *names), blocks(w, "bias_hh", *names)
    size = len(h) // heads
    seen = np.kron(np.eye(heads), np.ones((size, size)))  # where a unit and a number of h are of one head
    whole = {k: np.tile(R[k], (1, heads)) * seen for k in names}
    pre = {k: W[k] @ x + b[k] + whole[k] @ h + d[k] for k in names}
    f = np.exp(pre["f"]) if exponential_forget else sigmoid(pre["f"])
    i = np.exp(pre["i"])
    c = f * c + i * np.tanh(pre["z"])
    n = f * n + i
    h = sigmoid(pre["o"]) * (c / n)
    m = np.maximum(np.log(f) + m, np.log(i))
    return h, (h, c / np.exp(m), n / np.exp(m), m)


def mlstm(w, x, state):
    C, n, m = state
    C, n = C * np.exp(m), n * np.exp(m)  # as they are without the stabilisation
    size = len(n)
    rows, b = w["linear.weight"], w["linear.bias"]
    part = {k: rows[j * size : (j + 1) * size] @ x + b[j * size : (j + 1) * size] for j, k in enumerate("qkvo")}
    q, k, v = part["q"], part["k"] / np.sqrt(size), part["v"]
    i, f = np.exp(rows[-2] @ x + b[-2]), sigmoid(rows[-1] @ x + b[-1])
    C = f * C + i * np.outer(v, k)
    n = f * n + i * k
    h = sigmoid(part["o"]) * (C @ q / max(abs(n @ q), 1.0))
    m = np.maximum(np.log(f) + m, np.log(i))
    return h, (C / np.exp(m), n / np.exp(m), m)


def sru(w, x, state, highway_bias=0.0):
    (c,) = state
    W = np.split(w["weight_ih"], len(w["weight_ih"]) // len(c))
    candidate = W[0] @ x
    f = sigmoid(W[1] @ x + w["peephole_f"] * c + w["bias_f"])
    r = sigmoid(W[2] @ x + w["peephole_r"] * c + w["bias_r"])
    c = f * c + (1 - f) * candidate
    alpha = np.sqrt(1 + np.exp(highway_bias) * 2)
    h = r * c + (1 - r) * (W[3] @ x if len(W) > 3 else x) * alpha
    return h, (c,)


def qrnn(w, x, state):
    before, c = state
    names = ("z", "f", "o")
    W2, W1 = blocks(w, "now.weight", *names), blocks(w, "before.weight", *names)
    b = blocks(w, "now.bias", *names) if "now.bias" in w else dict.fromkeys(names, 0.0)
    z = np.tanh(W1["z"] @ before + W2["z"] @ x + b["z"])
    f = sigmoid(W1["f"] @ before + W2["f"] @ x + b["f"])
    o = sigmoid(W1["o"] @ before + W2["o"] @ x + b["o"])
    c = f * c + (1 - f) * z
    return o * c, (x, c)


def lstm(w, x, h, c):
    names = ("i", "f", "g", "o")
    W, U = blocks(w, "weight_ih", *names), blocks(w, "weight_hh", *names)
    b, d = blocks(w, "bias_ih", *names), blocks(w, "bias_hh", *names)
    pre = {k: W[k] @ x + b[k] + U[k] @ h + d[k] for k in names}
    return sigmoid(pre["i"]), sigmoid(pre["f"]), np.tanh(pre["g"]), sigmoid(pre["o"])


def mogrifier(w, x, state, rounds=5):
    h, c = state
    for r in range(1, rounds + 1):
        matrix = w[f"mutual.{r - 1}.weight"]
        if r % 2 == 1:
            x = 2 * sigmoid(matrix @ h) * x
        else:
            h = 2 * sigmoid(matrix @ x) * h
    i, f, g, o = lstm(w, x, h, c)
    c = f * c + i * g
    h = o * np.tanh(c)
    return h, (h, c)


def onlstm(w, x, state, chunk_size=1):
    h, c = state
    i, f, g, o = lstm(w, x, h, c)
    pre = w["master_ih.weight"] @ x + w["master_ih.bias"] + w["master_hh.weight"] @ h + w["master_hh.bias"]
    pre_f, pre_i = np.split(pre, 2)

    def cumax(z):
        return np.cumsum(np.exp(z) / np.exp(z).sum())

    master_f = np.repeat(cumax(pre_f), chunk_size)
    master_i = np.repeat(1 - cumax(pre_i), chunk_size)
    overlap = master_f * master_i
    f = f * overlap + (master_f - overlap)
    i = i * overlap + (master_i - overlap)
    c = f * c + i * g
    h = o * np.tanh(c)
    return h, (h, c)


def lmu(w, x, state, order=32, theta=100.0):
    h, m = state
    A, B = np.zeros((order, order)), np.zeros(order)
    for i in range(order):
        B[i] = (2 * i + 1) * (-1) ** i / theta
        for j in range(order):
            A[i, j] = (2 * i + 1) / theta * (-1 if i < j else (-1.0) ** (i - j + 1))
    A_bar, B_bar, power = np.eye(order), B.copy(), np.eye(order)
    for k in range(1, 200):  # zero-order hold: the series of exp(A), and of its integral from 0 to 1
        power = power @ A / k
        A_bar = A_bar + power
        B_bar = B_bar + power @ B / (k + 1)
    e_x, W_x = w["input.weight"][0], w["input.weight"][1:]
    e_h, W_h = w["recurrent.weight"][0], w["recurrent.weight"][1:]
    u = e_x @ x + e_h @ h + w["encode_m"][0] @ m
    m = A_bar @ m + B_bar * u
    h = np.tanh(W_x @ x + W_h @ h + w["kernel_m.weight"] @ m)
    return h, (h, m)


def cfc(w, x, state, time_step=1.0):
    (h,) = state
    shared = np.tanh(w["weight_ih"] @ x + w["bias_ih"] + w["weight_hh"] @ h + w["bias_hh"])
    W, b = blocks(w, "heads.weight", "f", "g", "h"), blocks(w, "heads.bias", "f", "g", "h")
    f = W["f"] @ shared + b["f"]
    g = np.tanh(W["g"] @ shared + b["g"])
    other = np.tanh(W["h"] @ shared + b["h"])
    h = sigmoid(-f * time_step) * g + (1 - sigmoid(-f * time_step)) * other
    return h, (h,)


def clockwork(w, x, state, modules=4):
    h, t = state
    size = len(h)
    module_of = [j * modules // size for j in range(size)]
    begun = int(np.floor(t[0]))  # t is whole but in tests
    new = h.copy()
    for j in range(size):
        if begun % 2 ** module_of[j] == 0:
            pre = w["weight_ih"][j] @ x + w["bias_ih"][j] + w["bias_hh"][j]
            for k in range(size):
                if module_of[k] >= module_of[j]:
                    pre += w["weight_hh"][j, k] * h[k]
            new[j] = np.tanh(pre)
    return new, (new, (t + 1) % 2 ** module_of[-1])


def phased(w, x, state, time_step=1.0):
    h, c, t = state
    tau, s, r_on, alpha = w["period"], w["shift"], w["open_ratio"], 0.001
    phi = ((t[0] - s) % tau) / tau
    k = np.zeros_like(phi)
    for j in range(len(k)):
        if phi[j] < r_on[j] / 2:
            k[j] = 2 * phi[j] / r_on[j]
        elif phi[j] < r_on[j]:
            k[j] = 2 - 2 * phi[j] / r_on[j]
        else:
            k[j] = alpha * phi[j]
    names = ("i", "f", "g", "o")
    W, U = blocks(w, "weight_ih", *names), blocks(w, "weight_hh", *names)
    b, d = blocks(w, "bias_ih", *names), blocks(w, "bias_hh", *names)
    pre = {n: W[n] @ x + b[n] + U[n] @ h + d[n] for n in names}
    w_ci, w_cf, w_co = w["peephole"]
    i = sigmoid(pre["i"] + w_ci * c)
    f = sigmoid(pre["f"] + w_cf * c)
    proposed = f * c + i * np.tanh(pre["g"])
    c = k * proposed + (1 - k) * c
    o = sigmoid(pre["o"] + w_co * c)
    h = k * (o * np.tanh(proposed)) + (1 - k) * h
    return h, (h, c, t + time_step)


def rhn(w, x, state, depth=5):
    (s,) = state
    W, b = blocks(w, "weight_ih", "H", "T"), blocks(w, "bias_ih", "H", "T")
    for layer in range(1, depth + 1):
        R = blocks(w, "weight_hh" if layer == 1 else f"above.{layer - 2}.weight", "H", "T")
        d = blocks(w, "bias_hh" if layer == 1 else f"above.{layer - 2}.bias", "H", "T")
        pre = {k: R[k] @ s + d[k] for k in ("H", "T")}
        if layer == 1:
            pre = {k: W[k] @ x + b[k] + pre[k] for k in ("H", "T")}
        h, t = np.tanh(pre["H"]), sigmoid(pre["T"])
        s = h * t + s * (1 - t)
    return s, (s,)


def fastslow(w, x, state, fast=2):
    h, c, slow_h, slow_c = state

    def cell(pre, c):
        i, f, g, o = np.split(pre, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        return sigmoid(o) * np.tanh(c), c

    size = len(h)
    h, c = cell(w["weight_ih"] @ x + w["bias_ih"] + w["weight_hh"] @ h + w["bias_hh"], c)
    W = w["slow.weight"]
    slow_h, slow_c = cell(W[:, :size] @ h + W[:, size:] @ slow_h + w["slow.bias"], slow_c)
    W = w["others.0.weight"]
    h, c = cell(W[:, :size] @ slow_h + W[:, size:] @ h + w["others.0.bias"], c)
    for k in range(3, fast + 1):
        h, c = cell(w[f"others.{k - 2}.weight"] @ h + w[f"others.{k - 2}.bias"], c)
    return h, (h, c, slow_h, slow_c)


def convolved(kernel, signal):
    """Convolve, zeros around: kernel (out, in, K), signal (in, W) -> (out, W)."""
    outputs, _, size = kernel.shape
    places = signal.shape[1]
    result = np.zeros((outputs, places))
    for place in range(places):
        for k in range(size):
            there = place + k - size // 2
            if 0 <= there < places:
                result[:, place] += kernel[:, :, k] @ signal[:, there]
    return result


def convlstm(w, x, state, input_channels=1):
    h, c = state
    x = x.reshape(input_channels, -1)
    names = ("i", "f", "g", "o")
    W, U, b = (blocks(w, f"{k}", *names) for k in ("input.weight", "recurrent.weight", "input.bias"))
    w_ci, w_cf, w_co = w["peephole"]
    pre = {k: convolved(W[k], x) + convolved(U[k], h) + b[k][:, None] for k in names}
    i = sigmoid(pre["i"] + w_ci * c)
    f = sigmoid(pre["f"] + w_cf * c)
    c = f * c + i * np.tanh(pre["g"])
    o = sigmoid(pre["o"] + w_co * c)
    h = o * np.tanh(c)
    return h.reshape(-1), (h, c)


def convgru(w, x, state, input_channels=1):
    (h,) = state
    x = x.reshape(input_channels, -1)
    W, b = blocks(w, "input.weight", "r", "z", "n"), blocks(w, "input.bias", "r", "z", "n")
    U = blocks(w, "switches.weight", "r", "z")
    r = sigmoid(convolved(W["r"], x) + convolved(U["r"], h) + b["r"][:, None])
    z = sigmoid(convolved(W["z"], x) + convolved(U["z"], h) + b["z"][:, None])
    candidate = np.tanh(convolved(W["n"], x) + convolved(w["candidate.weight"], r * h) + b["n"][:, None])
    h = (1 - z) * h + z * candidate
    return h.reshape(-1), (h,)


def dreamer(w, x, state, blocks=1):
    (h,) = state
    size, width = len(h), len(h) // blocks
    whole = np.zeros((3 * size, size))
    for k in range(blocks):
        at = slice(k * width, (k + 1) * width)
        for gate in range(3):
            rows = w[f"recurrent.{k}.weight"][gate * width : (gate + 1) * width]
            whole[gate * size + k * width : gate * size + (k + 1) * width, at] = rows
    pre = w["input.weight"] @ x + whole @ h
    pre = w["norm.weight"] * (pre - pre.mean()) / np.sqrt(pre.var() + 1e-3) + w["norm.bias"]
    reset, candidate, update = np.split(pre, 3)
    candidate = np.tanh(sigmoid(reset) * candidate)
    update = sigmoid(update - 1)
    h = update * candidate + (1 - update) * h
    return h, (h,)


EQUATIONS = {
    "mingru": Equation(mingru),
    "minlstm": Equation(minlstm),
    "lru": Equation(lru, [{}, {"r_min": 0.5, "r_max": 0.9, "max_phase": 0.3}]),
    "slstm": Equation(slstm, [{}, {"exponential_forget": True}, {"heads": 2}]),
    "mlstm": Equation(mlstm),
    "sru": Equation(sru, [{}, {"highway_bias": -2.0}]),
    "qrnn": Equation(qrnn, [{}, {"bias": False}]),
    "mogrifier": Equation(mogrifier, [{}, {"rounds": 2}, {"rounds": 0}]),
    "onlstm": Equation(onlstm, [{}, {"chunk_size": 4}]),
    "lmu": Equation(lmu, [{}, {"order": 5, "theta": 12.5}]),
    "cfc": Equation(cfc, [{}, {"time_step": 0.3}]),
    "clockwork": Equation(clockwork, [{}, {"modules": 3}, {"modules": 1}]),
    "phased": Equation(phased, [{}, {"time_step": 0.7}]),
    "rhn": Equation(rhn, [{}, {"depth": 1}]),
    "fastslow": Equation(fastslow, [{}, {"fast": 4}]),
    "convlstm": Equation(convlstm, [{}, {"kernel_size": 1, "input_channels": 2}]),
    "convgru": Equation(convgru, [{}, {"kernel_size": 5, "input_channels": 2}]),
    "dreamer": Equation(dreamer, [{}, {"blocks": 4}]),
}

PEERS: dict[str, Peer] = {}
