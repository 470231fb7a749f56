"""What every room tries: the cells but for the catalogue's, which tests/zoo holds to the same, and their unrollers."""

import rnnkit

CORE_CELLS = [name for name, kind in rnnkit.cells.items() if not kind.__module__.startswith("rnnkit_zoo.")]

TAKING_ALL = [name for name, kind in rnnkit.unrollers.items() if kind.takes_all_cells]
"""The unrollers that run every cell; what the others are for, tests/unrollers and tests/test_product.py say."""
