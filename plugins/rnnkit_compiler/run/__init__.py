"""Programs: what runs a cell, by which backend, and why."""
