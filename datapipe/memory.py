"""Memory for the frames of a clip, handed out again once no array of it is left.

Fresh memory of this size is slow: the system clears it page by page, and a virtual machine that gives unused
memory back has to ask for it again. Decoding one clip after another would pay that for every clip.
"""

from __future__ import annotations

import sys
import threading
from math import prod

import numpy as np
from numpy.typing import NDArray

FREE = 2
"""References that the buffer has when nobody uses it: the module's, and that of the question."""
_lock = threading.Lock()
_buffer = np.empty(0, np.uint8)


def frames_like(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Give uninitialised uint8 memory of a shape; what somebody still holds is never handed out again."""
    global _buffer
    needed = prod(shape)
    with _lock:
        if len(_buffer) < needed or sys.getrefcount(_buffer) > FREE:
            _buffer = np.empty(needed, np.uint8)
        return _buffer[:needed].reshape(shape)
