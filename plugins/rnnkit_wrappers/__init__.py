"""First-party wrappers of cells, one a file."""
