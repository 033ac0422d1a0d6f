"""Frames between judge and worker: JSON and raw array bytes, no pickle. Both sides run this file; stdlib and numpy only.

A frame is two little-endian 64-bit lengths, the JSON, then the bytes of all arrays. `unpack` trusts nothing: it is the judge's front door.
"""

import json
import struct

import numpy as np

HEADER = struct.Struct("<QQ")
DTYPES = frozenset(np.dtype(kind + size).str for kind, sizes in {"i": "1248", "u": "1248", "f": "248", "c": ("8", "16")}.items()
                   for size in sizes) | {"|b1"}
MAX_DIMENSIONS = 16
MAX_DEPTH = 12
TEXT_BYTES = 8 << 20        # JSON grows tenfold and more when it is read; arrays do not


class BadFrame(Exception):
    """Bytes that are no frame, or a frame that is too large."""


def pack(value) -> bytes:
    """One frame of plain data: None, bool, int, float, complex, str, lists, tuples, dicts with text keys, numeric arrays."""
    blobs: list[bytes] = []
    text = json.dumps(_tag(value, blobs)).encode()
    blob = b"".join(blobs)
    return HEADER.pack(len(text), len(blob)) + text + blob


def _tag(value, blobs):
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, np.generic):
        return _tag(value.item(), blobs)
    if isinstance(value, complex):
        return {"c": [value.real, value.imag]}
    if isinstance(value, np.ndarray):
        array = np.ascontiguousarray(value.astype(value.dtype.newbyteorder("<"), copy=False)).reshape(value.shape)
        if array.dtype.str not in DTYPES:
            raise BadFrame(f"an array of {array.dtype} cannot be sent")
        offset = sum(map(len, blobs))
        blobs.append(array.tobytes())
        return {"a": [array.dtype.str, list(array.shape), offset]}
    if isinstance(value, dict):
        return {"d": [[str(k), _tag(v, blobs)] for k, v in value.items()]}
    if isinstance(value, list | tuple):
        return {"t" if isinstance(value, tuple) else "l": [_tag(v, blobs) for v in value]}
    raise BadFrame(f"a {type(value).__name__} cannot be sent")


def unpack(frame: bytes, limit: int, text_limit: int = TEXT_BYTES):
    """The value of one frame of at most `limit` bytes, `text_limit` of them JSON. Raises BadFrame for anything else; runs no code of the sender.

    What comes out takes no more array memory than came in: no two arrays may share bytes.
    """
    if len(frame) > limit or len(frame) < HEADER.size:
        raise BadFrame("too large" if len(frame) > limit else "cut short")
    text, blob = HEADER.unpack_from(frame)
    if HEADER.size + text + blob != len(frame) or text > text_limit:
        raise BadFrame("its length is wrong")
    body = memoryview(frame)[HEADER.size:]
    try:
        return _untag(json.loads(bytes(body[:text]).decode()), _Blob(body[text:]), 0)
    except (ValueError, TypeError, KeyError, IndexError, RecursionError, OverflowError, MemoryError) as error:
        raise BadFrame(f"it cannot be read ({type(error).__name__})") from None


class _Blob:
    """The arrays' bytes, given out once."""

    def __init__(self, data):
        self.data, self.left = data, len(data)

    def take(self, offset: int, size: int):
        self.left -= size
        if self.left < 0 or offset + size > len(self.data):
            raise BadFrame("an array without its bytes")
        return self.data[offset:offset + size]


def _untag(value, blob, depth):
    if depth > MAX_DEPTH:
        raise BadFrame("nested too deep")
    if not isinstance(value, dict):
        if isinstance(value, list):
            raise BadFrame("a list without its tag")
        return value
    (tag, body), = value.items()
    if tag == "c":
        return complex(float(body[0]), float(body[1]))
    if tag == "a":
        return _array(*body, blob)
    if tag == "d":
        return {_name(k): _untag(v, blob, depth + 1) for k, v in body}
    if tag in ("l", "t"):
        made = [_untag(v, blob, depth + 1) for v in body]
        return made if tag == "l" else tuple(made)
    raise BadFrame("an unknown tag")


def _array(dtype, shape, offset, blob):
    if dtype not in DTYPES or len(shape) > MAX_DIMENSIONS or any(type(n) is not int or n < 0 for n in [*shape, offset]):
        raise BadFrame("an array that is none")
    count = 1
    for n in shape:
        count *= n
    array = np.frombuffer(blob.take(offset, count * np.dtype(dtype).itemsize), dtype=np.dtype(dtype)).reshape(shape).copy()
    if array.dtype == bool and not np.isin(array.view(np.uint8), (0, 1)).all():
        raise BadFrame("a bool that is none")
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _name(key) -> str:
    if type(key) is not str:
        raise BadFrame("a name that is no text")
    return key
