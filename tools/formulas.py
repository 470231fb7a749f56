"""Equations as docstrings have them, in plain characters, to what KaTeX draws."""

import re

FUNCTIONS = {"tanh", "exp", "log", "max", "min"}
OPERATORS = {"softmax", "softplus", "relu", "cumsum", "hard", "LN", "mean", "var", "Re", "concat", "diag", "conv"}
SIGNS = {
    "σ": r"\sigma ", "⊙": r"\odot ", "Δ": r"\Delta ", "‖": r"\Vert ", "…": r"\dots ", "·": r"\cdot ", "×": r"\times ",
    "∗": r"\ast ", "⊗": r"\otimes ", "≤": r"\le ", "≥": r"\ge ", "∈": r"\in ", "₁": "_1", "₂": "_2",
    "²": "^2", "ᵀ": r"^\top ",
    "{": r"\{", "}": r"\}", "&": r"\&", "%": r"\%", "#": r"\#",
}  # fmt: skip
GREEK = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "varepsilon", "ζ": "zeta", "η": "eta", "θ": "theta",
    "κ": "kappa", "λ": "lambda", "μ": "mu", "ν": "nu", "π": "pi", "ρ": "rho", "τ": "tau", "φ": "varphi", "χ": "chi",
    "ψ": "psi", "ω": "omega", "Λ": "Lambda", "Φ": "Phi", "Ω": "Omega", "ξ": "xi",
}  # fmt: skip
WORDS = re.compile(r"(\\text\{[^{}]*?) *\}( a)? *\\text\{ *")
"""Two words of a sentence, with nothing but blanks or an article between."""

REMARK = re.compile(r"\s{4,}")
WIDE_EQUALS = re.compile(r"\s+=")
TOKEN = re.compile(
    r"`(?P<code>[^`]*)`"
    r"|(?P<option>[a-z]{3,}_?\w*=\w+)"
    r"|(?P<name>[^\W\d_]+(?:_[^\W_]+)?)(?P<tilde>~?)(?P<prime>'*)"
    r"|√\((?P<root>[^()]*(?:\([^()]*\)[^()]*)*)\)|√(?P<short>\w)"
    r"|(?P<sign>.)",
    re.DOTALL,
)


def katex(equations: str) -> str:
    """Return lines of equations as one aligned formula, and below it what is remarked behind four blanks."""
    lines = [REMARK.split(WIDE_EQUALS.sub(" =", line.strip(), count=1), maxsplit=1) for line in equations.splitlines()]
    formula = " \\\\\n".join(aligned(line[0]) for line in lines if line[0])
    remarks = [f"- \\({math(line[0].partition(' = ')[0])}\\): {line[1].strip()}" for line in lines if len(line) > 1]
    return "\n".join(["\\[\n\\begin{aligned}", formula, "\\end{aligned}\n\\]", *([""] if remarks else []), *remarks])


def aligned(line: str) -> str:
    """Return a formula with what stands before its first sign of equality in a column of its own."""
    left, equals, right = line.partition(" = ")
    return f"{math(left)} &= {math(right)}" if equals else f"&{math(line)}"


def math(text: str) -> str:
    """Return a formula in which words of a sentence may stand."""
    drawn = "".join(map(token, TOKEN.finditer(" ".join(text.split()))))
    while drawn != (joined := WORDS.sub(lambda match: f"{match[1]}{match[2] or ''} ", drawn, count=1)):
        drawn = joined
    return drawn.strip()


def token(match: re.Match[str]) -> str:
    """Return what stands for a name, a word, a root or a sign."""
    if match["code"] is not None or match["option"]:
        return rf"\texttt{{{plain(match['code'] or match['option'])}}}"
    if inner := match["root"] or match["short"]:
        return rf"\sqrt{{{math(inner)}}}"
    if match["sign"]:
        return SIGNS.get(match["sign"], match["sign"])
    base, _, index = match["name"].partition("_")
    if index == "" and len(base) > 1 and is_word(base):
        return rf"\text{{ {base} }}"
    first = letters(base)
    first = rf"\tilde{{{first.strip()}}}" if match["tilde"] else first
    return f"{first}{f'_{{{subscript(index)}}}' if index else ''}{match['prime']}"


def is_word(text: str) -> bool:
    """Tell whether letters are a word of a sentence, not a function or a product of names."""
    return text not in FUNCTIONS | OPERATORS and not any(letter in GREEK or letter in SIGNS for letter in text)


def letters(text: str) -> str:
    """Return a name, a function, or letters beside each other, such as Δt."""
    if text in FUNCTIONS:
        return rf"\{text} "
    if text in OPERATORS:
        return rf"\operatorname{{{text}}}"
    for operator in sorted(OPERATORS, key=len, reverse=True):
        if text.startswith(operator):
            return letters(operator) + letters(text[len(operator) :])
    return "".join(rf"\{GREEK[one]} " if one in GREEK else SIGNS.get(one, one) for one in text)


def subscript(text: str) -> str:
    """Return an index: several letters are upright."""
    return letters(text).strip() if len(text) == 1 or any(one in GREEK for one in text) else rf"\mathrm{{{text}}}"


def plain(text: str) -> str:
    """Return a text in which nothing is a command; Greek letters stay letters."""
    for sign in "\\{}$&#%_^~":
        text = text.replace(sign, {"\\": "", "^": "", "~": ""}.get(sign, f"\\{sign}"))
    return text.strip()
