"""First-party cells, one a file."""
