"""The commands, one a file: options, and what is printed."""
