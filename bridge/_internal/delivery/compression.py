"""How a body is compressed: gzip, or Zstandard where the server is known to read it and the package is there."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, NamedTuple

try:
    import zstandard
except ImportError:  # the extra `fast`
    zstandard = None  # type: ignore[assignment]  # told apart where it is used

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bridge._internal.dsn import Dsn

FROM_BYTES = 1024
"""Bodies that are smaller go as they are."""
_GZIP_LEVEL = 1  # level 9 saves a fifth of the bytes for five times the time
_GZIP_WINDOW = 16 + zlib.MAX_WBITS
_ZSTD_LEVEL = 1


class Compression(NamedTuple):
    """A content encoding, and what makes one body of parts."""

    encoding: str
    compress: Callable[[Sequence[bytes]], bytes]


def compression_for(dsn: Dsn) -> Compression:
    """Return what is right for a server: Relays before the end of 2024, which some host themselves, read gzip only."""
    if zstandard is not None and dsn.is_sentrys_own:
        return Compression("zstd", _zstd)
    return GZIP


def _gzip(parts: Sequence[bytes]) -> bytes:
    compressor = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
    return b"".join([*map(compressor.compress, parts), compressor.flush()])


def _zstd(parts: Sequence[bytes]) -> bytes:
    compressor = zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compressobj()
    return b"".join([*map(compressor.compress, parts), compressor.flush()])


GZIP = Compression("gzip", _gzip)
