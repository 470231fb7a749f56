"""What every room needs and nothing of RNNs is in: whole files, TOML, sizes in bytes, pictures."""
