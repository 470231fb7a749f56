"""a^n b^n c^n: as many b and as many c as a, which takes two counters; no context-free grammar gives it.

Strings of n = 1 to `train_n` train, those of n = `train_n` + 1 to `test_n` validate, each once: no string of the
validation is ever seen, and only who counts gets it right. A string is read a symbol at a time after a mark; the next
symbol is to be told. While a is read, it may be a or b, and there is no target; from the first b on it is determined:
b until there are n, then n times c, then the mark.

Metric: strings right, the share of strings of which every determined symbol is told right.

Source: Gers & Schmidhuber, "LSTM Recurrent Networks Learn Simple Context-Free and Context-Sensitive Languages", IEEE
Transactions on Neural Networks 12(6), 2001; LSTM and GRU apart: Weiss, Goldberg & Yahav, "On the Practical
Computational Power of Finite Precision RNNs for Language Recognition", ACL 2018.

What differs: Gers & Schmidhuber ask for the set of all symbols that may come next, so while a is read for a and b.
"""

import rnnkit
from rnnkit_tasks._counting import Counting


class AnBnCn(Counting):
    """As many b and c as a: n up to `train_n` trains, n up to `test_n` validates."""

    name = "anbncn"
    letters = 3
    input_size = output_size = 4


@rnnkit.hookimpl
def rnnkit_tasks() -> list[type[rnnkit.Task]]:
    """Offer a^n b^n c^n."""
    return [AnBnCn]
