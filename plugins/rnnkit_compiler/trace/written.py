"""What a step writes on its cell, which a recording of its operations would not."""

from collections.abc import Callable, Hashable, Mapping

from torch import Tensor, nn

from rnnkit_compiler.trace.fingerprint import BESIDE, Fingerprint, differences
from rnnkit_compiler.trace.paths import tensor_at
from rnnkit_compiler.trace.recording import WritingStep


class Written:
    """Compares a copy of a cell after its step with what it was before.

    Args:
        copied: the copy, which has not run yet.
        held: its tensors, by path.
        before: the key of another copy like that, which takes a while to find; None: it is not known.
    """

    def __init__(self, copied: nn.Module, held: Mapping[str, Tensor], before: Hashable = None) -> None:
        self._copied, self._held = copied, held
        self.before = Fingerprint(copied).key if before is None else before
        """The key that tells whether something has changed."""

    def check(self, step: Callable[[], object]) -> None:
        """Raise WritingStep if something was written.

        Args:
            step: runs the step once more on the same copy: one that has then written anew does so always.
        """
        after = Fingerprint(self._copied)
        paths = self._paths(after.key)
        if paths:
            tensors = {path: self._tensor(path) for path in self._held}
            step()
            again = Fingerprint(self._copied).key != after.key
            tensors |= after.attributes
            raise WritingStep(paths, again or any(self._tensor(path) is not tensors[path] for path in tensors))

    def _paths(self, after: object) -> tuple[str, ...]:
        exchanged = (path for path, tensor in self._held.items() if self._tensor(path) is not tensor)
        found = () if after == self.before else tuple(differences(self.before, after)) or (BESIDE,)
        return tuple(dict.fromkeys((*found, *exchanged)))

    def _tensor(self, path: str) -> Tensor | None:
        """Return a parameter or buffer; None: it is gone."""
        try:
            return tensor_at(self._copied, path)
        except (AttributeError, KeyError):
            return None
