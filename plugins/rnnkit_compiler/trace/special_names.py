"""Names that tell what code does: of methods that nobody names, of what looks up names, of what reads numbers."""

EVALUATING = frozenset(("eval", "exec", "globals"))
"""Functions that look up names which are in a text."""

BY_THEMSELVES = frozenset(("step", "project", "forward"))
"""Methods that are called by no name in a step."""

SILENT = frozenset(("__reduce__", "__reduce_ex__", "__getstate__", "__setstate__", "__del__"))
"""Special methods that no step runs."""

UNRUN = SILENT | {"__init__", "__new__", "__post_init__", "__init_subclass__"}
"""Those that no step runs on an object that is there: some make it."""

WHOLE = frozenset(("vars", "__dict__", "asdict", "astuple"))
"""What reads attributes of such an object that are not named."""

BY_TEXT = EVALUATING | {"getattr", "attrgetter", "methodcaller", "__getattribute__", "getattr_static"} | WHOLE
"""What looks for attributes by names that are in a text."""

GIVING = frozenset(("numpy", "tolist", "__array__", "__dlpack__", "__repr__", "__format__"))
"""Methods of tensors that give their numbers."""

PAST_TORCH = GIVING | {"repr", "str", "format"}
"""By what names a step calls them."""
