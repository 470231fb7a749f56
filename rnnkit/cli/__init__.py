"""The command line: parsing and printing, nothing else. Commands import torch when they run, not before."""

from rnnkit.cli.main import main

__all__ = ["main"]
