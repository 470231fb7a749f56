"""With which published code the cells of the catalogue were compared: equation, constants and initialisation."""

from typing import NamedTuple


class Code(NamedTuple):
    """A file that has the cell, on GitHub."""

    repository: str
    file: str
    whose: str = "the authors'"
    found: str = "agrees"


SAID = "agrees but for what is said under *What differs*"
STEP = "the step agrees; it starts otherwise"
OTHERS = "others'"
ALONE = "the step agrees"
BIASES = "the step agrees, and how the biases start"
LOG = "the gates agree; it is in log space"

COMPARED = {
    "antisymmetric": Code("erichson/LipschitzRNN", "models.py", OTHERS, STEP),
    "atr": Code("bzhangGo/zero", "rnns/atr.py", found=ALONE),
    "br": Code("nvecoven/BRC", "cells/cells.py"),
    "cfc": Code("raminmh/CfC", "torch_cfc.py", found=SAID),
    "cifg": Code("tensorflow/tensorflow", "tensorflow/contrib/rnn/python/ops/rnn_cell.py", OTHERS, STEP),
    "clockwork": Code("IDSIA/brainstorm", "brainstorm/layers/clockwork_layer.py", found=ALONE),
    "convgru": Code("luigifreda/pyslam", "thirdparty/lietorch/examples/core/networks/modules/gru.py", OTHERS, ALONE),
    "convlstm": Code("automan000/Convolutional_LSTM_PyTorch", "convolution_lstm.py", OTHERS),
    "cornn": Code("tk-rusch/coRNN", "sMNIST/network.py"),
    "dreamer": Code("danijar/dreamerv3", "dreamerv3/rssm.py", found=SAID),
    "elstm": Code("IDSIA/rtrl-elstm", "diagnostic/layers.py"),
    "fastgrnn": Code("microsoft/EdgeML", "pytorch/edgeml_pytorch/graph/rnn.py"),
    "fastrnn": Code("microsoft/EdgeML", "pytorch/edgeml_pytorch/graph/rnn.py"),
    "fastslow": Code("amujika/Fast-Slow-LSTM", "FSRNN.py", found=SAID),
    "indrnn": Code("Sunnydreamrain/IndRNN_pytorch", "pixelMNIST/Indrnn_plainnet.py", found=SAID),
    "intersection": Code("tensorflow/tensorflow", "tensorflow/contrib/rnn/python/ops/rnn_cell.py", found=BIASES),
    "janet": Code("JosvanderWesthuizen/janet", "aux_code/rnn_cells.py", found=BIASES),
    "lem": Code("tk-rusch/LEM", "src/sMNIST/network.py"),
    "ligru": Code("mravanelli/pytorch-kaldi", "neural_networks.py", found=SAID),
    "lipschitz": Code("erichson/LipschitzRNN", "models.py", found=SAID),
    "lmu": Code("nengo/keras-lmu", "keras_lmu/layers.py", found="the step agrees; initialisation is an option there"),
    "lru": Code("NicolasZucchet/minimal-LRU", "lru/model.py", OTHERS, SAID),
    "mclstm": Code("ml-jku/mc-lstm", "mclstm.py", found=SAID),
    "mingru": Code("lucidrains/minGRU-pytorch", "minGRU_pytorch/minGRU.py", OTHERS, LOG),
    "minlstm": Code("lucidrains/minGRU-pytorch", "minGRU_pytorch/minLSTM.py", OTHERS, LOG),
    "mlstm": Code("NX-AI/xlstm", "xlstm/blocks/mlstm/backends.py", found=SAID),
    "mogrifier": Code("google-deepmind/lamb", "lamb/tiled_lstm.py", found=SAID),
    "multiplicative": Code("benkrause/mLSTM", "matlab/mLSTMhutter.m", found=SAID),
    "nas": Code("tensorflow/tensorflow", "tensorflow/contrib/rnn/python/ops/rnn_cell.py", found=BIASES),
    "nbr": Code("nvecoven/BRC", "cells/cells.py"),
    "onlstm": Code("yikangshen/Ordered-Neurons", "ON_LSTM.py"),
    "phased": Code("dannyneil/public_plstm", "plstm.py", found=SAID),
    "plrnn": Code("DurstewitzLab/reg-PLRNN", "benchmark_run/gdplrnn/model.py", found=STEP),
    "qrnn": Code("salesforce/pytorch-qrnn", "torchqrnn/qrnn.py", found=SAID),
    "ran": Code("kentonl/ran", "ran.py", found=BIASES),
    "rhn": Code(
        "julian121266/RecurrentHighwayNetworks", "theano_rhn.py", found="agrees; there weights start within ±0.04"
    ),
    "scrn": Code("facebookarchive/SCRNNs", "mfactory.lua", found=SAID),
    "slstm": Code("NX-AI/xlstm", "xlstm/blocks/slstm/src/vanilla/slstm.py", found=SAID),
    "sru": Code("asappresearch/sru", "sru/modules.py"),
    "star": Code("0zgur0/STAR_Network", "star.py", found=SAID),
    "ugrnn": Code("tensorflow/tensorflow", "tensorflow/contrib/rnn/python/ops/rnn_cell.py", found=BIASES),
    "unicornn": Code("tk-rusch/unicornn", "psMNIST/network.py"),
}

SAME = [
    *("antisymmetric", "atr", "br", "cfn", "cornn", "dsgu", "fastgrnn", "fastrnn", "gatedantisymmetric", "indrnn"),
    *("janet", "lightru", "ligru", "mgu", "minimalrnn", "miru", "mut1", "mut2", "mut3", "nbr", "originallstm", "ran"),
    *("reslstm", "sgrn", "sgu", "star", "taugru", "tgru", "tlstm", "trnn", "ugrnn", "unicornn", "wmclstm"),
]
OTHER = ["lem", "multiplicative", "nas", "scrn"]
"""Cells that torchrecurrent has too; tests/zoo holds them to the same numbers and gradients, or to others."""

FRAMEWORKS = {"convlstm": "Keras, Flax and Haiku", "ugrnn": "Flax"}
"""What else has a cell; the slow tests hold it to the same numbers and gradients."""


def compared(name: str) -> str:
    """Return with what a cell was compared, for its page; "" where there was nothing to compare it with."""
    told = []
    if name in COMPARED:
        repository, file, whose, found = COMPARED[name]
        told.append(f"{whose} [{repository}](https://github.com/{repository}), `{file}`: {found}")
    if name in SAME:
        told.append("torchrecurrent: the same outputs and gradients in float64")
    if name in FRAMEWORKS:
        told.append(f"{FRAMEWORKS[name]}: the same outputs and gradients in float64")
    if name in OTHER:
        told.append("torchrecurrent: other outputs; its cell departs from the paper's sentence that `tests/zoo` names")
    return "; ".join(told)
