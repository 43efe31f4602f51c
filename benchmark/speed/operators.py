"""Which of torch's operators a piece of code calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode

KNOWN_NAMESPACES = ("aten", "prim", "prims")


class OperatorNames(TorchDispatchMode):  # type: ignore[no-untyped-call] # torch has no types here
    """Collect names while it is active: torch's own, and those of other libraries' kernels."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names: set[str] = set()
        self.foreign: set[str] = set()
        """Kernels registered from outside, `namespace::name`; nobody knows their arithmetic."""

    def __torch_dispatch__(
        self,
        operator: Any,
        types: Sequence[type],
        arguments: Sequence[Any] = (),
        keywords: Mapping[str, Any] | None = None,
    ) -> Any:
        """Note the operator and let it run."""
        namespace, _, name = operator.overloadpacket._qualified_op_name.partition("::")
        if namespace in KNOWN_NAMESPACES:
            self.names.add(name)
        else:
            self.foreign.add(f"{namespace}::{name}")
        call: Callable[..., Any] = operator
        return call(*arguments, **(keywords or {}))
