"""The catalogue: cells of the literature, a file each, as their papers have them."""
