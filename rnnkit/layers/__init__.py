"""What is built around any cell: the layer, its states and sequences, wrappers, the model."""
