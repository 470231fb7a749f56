"""The cells that every room tries: all that are registered but the catalogue's, which tests/zoo holds to the same."""

import rnnkit

CORE_CELLS = [name for name, kind in rnnkit.cells.items() if not kind.__module__.startswith("rnnkit_zoo.")]
