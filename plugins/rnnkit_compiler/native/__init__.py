"""The native backend: from a graph to C++, and from tensors to its kernels."""
