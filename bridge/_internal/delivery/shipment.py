"""An envelope on its way: what of it is not accounted for yet."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, NamedTuple

from bridge._internal.delivery.envelope import (
    ATTACHMENT,
    CLIENT_REPORT,
    EVENT,
    INTERNAL_CATEGORY,
    SENT_AT,
    SPAN_CATEGORY,
    TRANSACTION,
    Envelope,
    Item,
)
from bridge._internal.delivery.limits import fit_item
from bridge._internal.delivery.outcomes import RATELIMIT_BACKOFF, SEND_ERROR
from bridge._internal.timestamps import now_rfc3339

try:
    import zstandard
except ImportError:  # the extra `fast`
    zstandard = None  # type: ignore[assignment]  # told apart where it is used

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bridge._internal.delivery.outcomes import Outcomes
    from bridge._internal.delivery.rate_limits import RateLimits
    from bridge._internal.dsn import Dsn
    from bridge._internal.payload import Data, Payload


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


class Shipment:
    """The items of an envelope, and the client report that goes along; each is counted once and then forgotten."""

    def __init__(self, headers: Data, items: Sequence[Item], outcomes: Outcomes, compression: Compression) -> None:
        self._headers = dict(headers)
        self._items = list(items)
        self._outcomes = outcomes
        self._compression = compression
        self._report: Payload | None = None
        self._body: bytes | None = None
        self.encoding: str | None = None
        self.was_delivered = False

    @property
    def is_empty(self) -> bool:
        """Whether everything is accounted for, and no report to be sent."""
        return not self._items and self._report is None

    def drop_limited(self, limits: RateLimits) -> None:
        """Lose what the server asked not to be sent; attachments go with the event they belong to."""
        if not limits.any_limited():
            return
        kept = [item for item in self._items if not limits.is_limited(item.category)]
        if _has_event(self._items) and not _has_event(kept):
            kept = [item for item in kept if item.type != ATTACHMENT]
        if len(kept) < len(self._items):
            kept_ids = {id(item) for item in kept}
            dropped = [item for item in self._items if id(item) not in kept_ids]
            self._items, self._body = kept, None
            self._count_lost(dropped, RATELIMIT_BACKOFF, report=True)
        if self._report is not None and limits.is_limited(INTERNAL_CATEGORY):
            self._restore_report()

    def attach_report(self, limits: RateLimits) -> None:
        """Attach the losses that were not reported to the server yet."""
        if self._report is None and not limits.is_limited(INTERNAL_CATEGORY):
            self._report = self._outcomes.take_report()
            if self._report is not None:
                self._body = None

    def body(self) -> bytes:
        """Return what is posted; made once, and again only when something was dropped."""
        if self._body is None:
            self._fit()
            self._body = self._compressed()
        return self._body

    def delivered(self) -> None:
        """Count everything that is left as delivered."""
        items, self._items, self._report = self._items, [], None
        self.was_delivered = True
        for category, quantity in Envelope({}, items).losses().items():
            self._outcomes.delivered(category, quantity)

    def lost(self, reason: str, *, report: bool = True) -> None:
        """Count everything that is left as lost; the report goes with the next."""
        items, self._items = self._items, []
        self._restore_report()
        self._count_lost(items, reason, report=report)

    def _fit(self) -> None:
        for index, item in enumerate(self._items):
            self._items[index], dropped_spans = fit_item(item)
            self._outcomes.lost(SEND_ERROR, SPAN_CATEGORY, dropped_spans)

    def _compressed(self) -> bytes:
        items = list(self._items)
        if self._report is not None:
            items.append(Item(CLIENT_REPORT, self._report))
        headers = {**self._headers, SENT_AT: now_rfc3339()}
        parts = Envelope(headers, items).serialized_parts()
        if sum(map(len, parts)) < FROM_BYTES:
            self.encoding = None
            return b"".join(parts)
        self.encoding = self._compression.encoding
        return self._compression.compress(parts)

    def _restore_report(self) -> None:
        if self._report is not None:
            self._outcomes.restore(self._report)
            self._report, self._body = None, None

    def _count_lost(self, items: list[Item], reason: str, *, report: bool) -> None:
        for category, quantity in Envelope({}, items).losses().items():
            self._outcomes.lost(reason, category, quantity, report=report)


def _has_event(items: Sequence[Item]) -> bool:
    return any(item.type in (EVENT, TRANSACTION) for item in items)
