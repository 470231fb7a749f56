"""What every backend stands on: the interface, the runtime of a device, and kernels as one operation of autograd."""
