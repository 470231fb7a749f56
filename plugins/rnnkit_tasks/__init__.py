"""First-party tasks, one a file."""
