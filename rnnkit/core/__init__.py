"""The contracts: what a cell, an unroller and a task are, and the checks of what goes into them."""
