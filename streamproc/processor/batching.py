"""Which packets the decoding thread is woken for.

Waking it costs more than all else that is done for a packet but decoding itself, and of six
packets, at 30 frames a second and 5 analysed, the pictures of five go to nobody. So packets wait
for each other, but none waits whose picture may be analysed. What already waits goes to the
decoder one packet earlier: so that nothing is in the way of the one that matters.

A decoder that reorders (B-frames) gives a picture out when one is fed that is shown later. That
one is in a new slot too, for as long as the picture that opens the slot is not sampled: so it
does not wait either. While only keyframes are decoded, nobody is woken for what lies between.

Pure. Knows when; knows nothing of queues, threads or decoders. Where it errs, pictures come
later, and are the same.
"""

from streamproc.decode.sampling import Sampler
from streamproc.model.media import MediaEvent, Packet
from streamproc.processor.video_times import VideoTimes

PACKETS_WAITING_MAX = 8
"""A decoding thread serves other cameras too: a batch holds it for some 15 ms at 1280x720."""


class Batching:
    """Follows the events of a stream, beside the sampler of its pictures."""

    def __init__(self, sampler: Sampler) -> None:
        self._sampler = sampler
        self._times = VideoTimes()
        self._last_s: float | None = None  # media time of the packet before
        self._waiting = 0

    def is_due(self, event: MediaEvent) -> bool:
        """Told each event once, in order: whether all that came up to it is to be decoded now."""
        at_s = self._times.of(event)
        is_due = not isinstance(event, Packet) if at_s is None else self._is_due(event, at_s)
        if is_due:
            self._waiting = 0
        return is_due

    def _is_due(self, event: MediaEvent, at_s: float) -> bool:
        if self._sampler.keyframes_only:
            return isinstance(event, Packet) and event.keyframe
        next_s = at_s if self._last_s is None else at_s + max(0.0, at_s - self._last_s)
        self._last_s = at_s
        self._waiting += 1
        return (
            self._waiting >= PACKETS_WAITING_MAX
            or self._sampler.is_new(at_s)
            or self._sampler.is_new(next_s)
        )
