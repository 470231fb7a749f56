"""What runs the steps of a recorded cell: `base` is what all backends share, each other folder is one backend."""
