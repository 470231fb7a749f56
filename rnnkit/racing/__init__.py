"""A race: which cell learns a task best, at equal cost, over several seeds."""
