"""The Triton backend: kernels for GPUs, written out as Python, compiled by Triton or interpreted by it on a CPU."""
