"""The gradient matrix: every cell through every unroller in every layout and direction, held to finite differences."""
