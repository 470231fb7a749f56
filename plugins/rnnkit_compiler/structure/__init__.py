"""How the new state depends on the old one, proven from the recording of a step: which elements, and how."""
