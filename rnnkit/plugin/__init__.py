"""How plugins come in: hooks, the loader, the registry, and names and options turned into objects."""
