"""The boundary to C: which tensors may hand their address to a kernel."""

import torch
from torch import Tensor

from rnnkit_compiler.backends.base.runtime import Unfit

keys_of = torch._C._dispatch_keys

with torch.inference_mode():
    _PLAIN_KEYS = {keys_of(torch.empty(0, device="cpu")).raw_repr()}
with torch.inference_mode(False):
    _PLAIN_KEYS.add(keys_of(torch.empty(0, device="cpu")).raw_repr())


def address_of(tensor: Tensor) -> int:
    """Return where the numbers of a tensor are.

    Its dispatch keys must be those of a plain tensor on the CPU: so it is on no other device, neither sparse nor
    nested, no wrapper of a transform or mode, and neither zero nor negated by a mark that the memory does not show.

    Raises:
        Unfit: it has no such memory.
    """
    if keys_of(tensor).raw_repr() not in _PLAIN_KEYS:
        raise Unfit(f"a tensor is {keys_of(tensor)}")
    address = tensor.data_ptr()
    if address and not address & 7:  # mostly, and then there is nothing else to ask
        return address
    if not address and tensor.numel():
        raise Unfit("the memory of a tensor was given back")
    if address % tensor.dtype.itemsize:
        raise Unfit("the memory of a tensor begins between two numbers")
    return address


def is_plain(tensor: Tensor) -> bool:
    """Tell whether a kernel may read a tensor."""
    try:
        address_of(tensor)
    except Unfit:
        return False
    return True
