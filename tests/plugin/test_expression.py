"""Expressions: a plugin and its options in one string."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnkit.errors import UsageError
from rnnkit.plugin.expression import parse, value_of

READ = {
    "lstm": ("lstm", [], {}),
    "my-cell": ("my-cell", [], {}),
    "lstm()": ("lstm", [], {}),
    "zoneout(lstm)": ("zoneout", ["lstm"], {}),
    "zoneout( my-cell , rate = 0.1 )": ("zoneout", ["my-cell"], {"rate": 0.1}),
    "a(b(c, x=1), y=2)": ("a", ["b(c, x=1)"], {"y": 2}),
    "a(inner=b(c, x=1))": ("a", [], {"inner": "b(c, x=1)"}),
    "rnn(nonlinearity=relu)": ("rnn", [], {"nonlinearity": "relu"}),
    "rnn(nonlinearity='re,lu)')": ("rnn", [], {"nonlinearity": "re,lu)"}),
    "z(lstm, rate={'h': 0.1, 'c': 0.5}, at=[1, 2])": ("z", ["lstm"], {"rate": {"h": 0.1, "c": 0.5}, "at": [1, 2]}),
    r"z(rate={'\'\"': 0.5}, at='\\')": ("z", [], {"rate": {"'\"": 0.5}, "at": "\\"}),
    "lstm(bias=false, x=True, y=1e-3, n=-2)": ("lstm", [], {"bias": False, "x": True, "y": 1e-3, "n": -2}),
}
MALFORMED = ["(lstm)", "zoneout(lstm", "zoneout(lstm))", "zoneout(rate=1, lstm)", "zoneout(lstm,)", "z(a b)c", "z('a)"]


@pytest.mark.parametrize("text", READ)
def test_an_expression_is_read(text):
    assert parse(text) == READ[text]


@pytest.mark.parametrize("text", MALFORMED)
def test_what_is_no_expression_is_said_in_a_sentence(text):
    with pytest.raises(
        UsageError, match=re.escape(f"{text!r} is neither a name nor of the form name(inner, option=value)")
    ):
        parse(text)


def test_an_option_given_twice_is_refused():
    with pytest.raises(UsageError, match="gives 'rate' twice"):
        parse("zoneout(lstm, rate=0.1, rate=0.2)")


@pytest.mark.parametrize(
    ("text", "value"), [("1j", "1j"), ("None", "None"), ("b'x'", "b'x'"), ("(1, 2)", "(1, 2)"), ("", "")]
)
def test_what_a_run_cannot_write_down_stays_a_word(text, value):
    assert value_of(text) == value


values = st.one_of(
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(),
    st.lists(st.integers()),
    st.dictionaries(st.text(), st.floats(allow_nan=False, allow_infinity=False)),
)
words = st.from_regex(r"[a-z_]\w{0,8}", fullmatch=True)


@given(words, st.lists(words, max_size=1), st.dictionaries(words, values, max_size=4))
def test_what_is_written_comes_back(name, arguments, options):
    inside = ", ".join([*arguments, *(f"{key}={value!r}" for key, value in options.items())])
    assert parse(f"{name}({inside})") == (name, arguments, options)
