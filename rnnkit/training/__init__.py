"""Backpropagation through time: windows, updates, held-out evaluation, and what goes wrong on the way."""
