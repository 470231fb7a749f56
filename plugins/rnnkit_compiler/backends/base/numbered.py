"""The buffers of a pass by their numbers, each made once: a call of a layer asks for some dozens."""

from functools import cache, partial

from rnnkit_compiler.schedule.buffers import Buffer, BufferKind

Y = Buffer(BufferKind.Y)
GRAD_Y = Buffer(BufferKind.GRAD_Y)

part = cache(partial(Buffer, BufferKind.PART))
state = cache(partial(Buffer, BufferKind.STATE))
kept = cache(partial(Buffer, BufferKind.KEPT))
operand = cache(partial(Buffer, BufferKind.OPERAND))
vector = cache(partial(Buffer, BufferKind.VECTOR))
first = cache(partial(Buffer, BufferKind.FIRST))
last = cache(partial(Buffer, BufferKind.LAST))
initial = cache(partial(Buffer, BufferKind.INITIAL))
grad_part = cache(partial(Buffer, BufferKind.GRAD_PART))
grad_product = cache(partial(Buffer, BufferKind.GRAD_PRODUCT))
grad_vector = cache(partial(Buffer, BufferKind.GRAD_VECTOR))
