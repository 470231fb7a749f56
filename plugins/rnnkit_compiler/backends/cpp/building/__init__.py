"""The system's compiler, and the cache of what it made."""
