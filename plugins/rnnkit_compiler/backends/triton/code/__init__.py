"""The text of kernels: from the plan of a step to functions of Triton."""
