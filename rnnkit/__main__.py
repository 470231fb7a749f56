"""`python -m rnnkit`."""

from rnnkit.cli import main

main()
