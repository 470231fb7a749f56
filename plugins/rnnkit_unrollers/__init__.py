"""First-party unrollers, one a file."""
