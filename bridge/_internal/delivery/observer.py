"""DeliveryObserver: the interface by which a console follows what is sent, and what is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bridge._internal.delivery.envelope import Envelope
    from bridge._internal.options import Options
    from bridge._internal.payload import Data


class DeliveryObserver:
    """Ignores everything. The worker thread calls all methods but those that count, which any thread calls."""

    def begin(self, options: Options) -> None:
        """A client was made."""

    def sent(self, envelope: Envelope) -> None:
        """An envelope goes to the transport."""

    def expect_tree(self, event_id: str) -> None:
        """The root above an event is open: its tree comes after the event."""

    def dropped(self, event: Data, by: str) -> None:
        """A transaction, an error or a message is not sent, because of a hook or a rule of the user's."""

    def left_out(self, trace_id: str, quantity: int, why: str) -> None:
        """The next tree of this trace lacks this many spans."""

    def count_not_sampled(self) -> bool:
        """A root was decided against; `True` if `report_not_sampled` has to be called. From any thread."""
        return False

    def report_not_sampled(self) -> None:
        """Report the roots that were decided against since the last call."""

    def count_lost(self, quantity: int) -> None:
        """Spans were started that nobody will send. From any thread, in the middle of anything."""

    def tick(self) -> None:
        """A few seconds went by."""

    def end(self) -> None:
        """Nothing comes any more."""
