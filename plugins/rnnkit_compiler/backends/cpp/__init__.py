"""The C++ backend: kernels for the CPU, written out as C++, compiled, and run on torch's own threads."""
