"""libsndfile called directly, through the binding that soundfile holds.

soundfile's own `read` and `write` seek before and after every call, which fails for FLAC streams of unknown length and
costs 15 times the decoding for blocks of 512 frames; a short write is an AssertionError there. Opening, closing and
everything else is left to soundfile.
"""

from __future__ import annotations

import errno
import os
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

SET_ADD_PEAK_CHUNK = 0x1050
RF64_AUTO_DOWNGRADE = 0x1210

_lib = soundfile._snd
_ffi = soundfile._ffi
_READ = _lib.sf_readf_float
_WRITE = {"float32": _lib.sf_writef_float, "int32": _lib.sf_writef_int, "int16": _lib.sf_writef_short}
_POINTER = {"float32": "float *", "int32": "int *", "int16": "short *"}


def read_into(file: soundfile.SoundFile, frames: NDArray[np.float32]) -> int:
    """Fill *frames* (frames, channels) from the file; how many frames came, fewer at the end or at damage."""
    return int(_READ(file._file, _ffi.cast("float *", frames.ctypes.data), len(frames)))


def write(file: soundfile.SoundFile, frames: NDArray[Any]) -> None:
    """Write all of *frames* (frames, channels), C-contiguous, float32, int32 or int16. Raises OSError."""
    kind = frames.dtype.name
    _ffi.errno = 0
    written = _WRITE[kind](file._file, _ffi.cast(_POINTER[kind], frames.ctypes.data), len(frames))
    if written != len(frames):
        raise failure()


def close(file: soundfile.SoundFile) -> OSError:
    """Close the file, and say what to raise should it turn out to be incomplete."""
    _ffi.errno = 0
    try:
        file.close()
    except soundfile.LibsndfileError:
        raise failure() from None
    return failure()


def failure() -> OSError:
    """Why the last call failed, as the system said it."""
    code = _ffi.errno
    if code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.ENOENT):
        return OSError(code, os.strerror(code))
    return OSError(errno.EIO, "the encoder could not write all of it; is the disk full?")


def damage(file: soundfile.SoundFile) -> str:
    """What the decoder complained about last, empty when it did not."""
    code = _lib.sf_error(file._file)
    if not code:
        return ""
    text: str = _ffi.string(_lib.sf_error_number(code)).decode("utf-8", "replace")
    return text.removeprefix("Error : ").rstrip(".")


def switch(file: soundfile.SoundFile, command: int, *, on: bool) -> None:
    """Turn one of libsndfile's switches."""
    _lib.sf_command(file._file, command, _ffi.NULL, int(on))
