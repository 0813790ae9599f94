"""Live packets between a camera and its stream, kept until the stream has confirmed them.

Pure, but for the wait of its one reader. Knows groups of pictures: what is dropped, and where
sending begins again, is always a keyframe. Knows nothing of cameras, nor of PutMedia.
"""

import asyncio
from collections import deque
from dataclasses import dataclass
from itertools import islice

from streamproc.kvs.coded import CodedPacket

PACKET_BYTES = 300
"""What a packet takes in memory beside its payload: a source of tiny ones is bounded, too."""


@dataclass(frozen=True, slots=True)
class PlacedPacket:
    number: int  # rises by one
    at_s: float  # presentation time, seconds since the epoch
    packet: CodedPacket


class Backlog:
    """Bounded by time and by bytes; the oldest groups of pictures are dropped for newer ones.

    Packets that were taken stay until confirm(), so that rewind() can send them once more. Those
    that go for want of room before that are not counted as dropped: they were sent.
    """

    def __init__(self, seconds_max: float, bytes_max: int) -> None:
        self.groups_dropped_total = 0
        self.packets_dropped_total = 0
        self._seconds_max = seconds_max
        self._bytes_max = bytes_max
        self._packets: deque[PlacedPacket] = deque()
        self._bytes = 0
        self._taken = 0  # of _packets, from the left
        self._number = 0
        self._wants_keyframe = True
        self._changed = asyncio.Event()
        self._is_paused = self._is_closed = False

    @property
    def waiting_s(self) -> float:
        """The length of what has not been sent."""
        if self._taken >= len(self._packets):
            return 0.0
        return max(0.0, self._packets[-1].at_s - self._packets[self._taken].at_s)

    @property
    def is_empty(self) -> bool:
        """Whether everything has been sent."""
        return self._taken >= len(self._packets)

    def put(self, at_s: float, packet: CodedPacket) -> None:
        self._is_paused = False
        if self._wants_keyframe and not packet.keyframe:
            self.packets_dropped_total += 1
            return
        self._wants_keyframe = False
        self._packets.append(PlacedPacket(self._number, at_s, packet))
        self._number += 1
        self._bytes += len(packet.payload) + PACKET_BYTES
        while self._packets and self._is_full():
            self._drop_group()
        self._changed.set()

    def pause(self) -> None:
        """Nothing will come for a while: a reader that waits is told so, and what comes next
        opens on a keyframe."""
        self._is_paused = self._wants_keyframe = True
        self._changed.set()

    async def take(self) -> PlacedPacket | None:
        """The next packet to send; None once there is none and pause() was called."""
        while self.is_empty:
            if self._is_paused:
                return None
            self._changed.clear()
            await self._changed.wait()
        packet = self._packets[self._taken]
        self._taken += 1
        return packet

    async def wait(self) -> bool:
        """Until there is something to send. False once there is not, and close() was called."""
        while self.is_empty:
            if self._is_closed:
                return False
            self._changed.clear()
            await self._changed.wait()
        return True

    def close(self) -> None:
        """Nothing will come any more."""
        self._is_closed = True
        self.pause()

    def give_back(self) -> None:
        """The packet that was taken last was not sent after all."""
        self._taken = max(0, self._taken - 1)

    def confirm(self, number: int) -> None:
        """Every packet before this number is in the stream. Whole groups are forgotten."""
        forget = 0
        for index, packet in enumerate(islice(self._packets, self._taken)):
            if packet.packet.keyframe and packet.number <= number:
                forget = index
        # What follows a group that was sent to its end opens on a keyframe, or is still to come.
        following = self._packets[self._taken] if not self.is_empty else None
        is_whole = following is None or following.packet.keyframe
        if self._taken and self._packets[self._taken - 1].number < number and is_whole:
            forget = self._taken
        for _ in range(forget):
            self._forget()

    def rewind(self) -> None:
        """Send again what was taken and not confirmed."""
        self._taken = 0

    def pass_over(self) -> None:
        """What was taken cannot be sent; go on with the next group."""
        while self._taken:
            self._forget()
            self.packets_dropped_total += 1
        self.groups_dropped_total += 1
        while self._packets and not self._packets[0].packet.keyframe:
            self._forget()
        self._wants_keyframe |= not self._packets

    def _is_full(self) -> bool:
        length_s = self._packets[-1].at_s - self._packets[0].at_s
        return self._bytes > self._bytes_max or length_s > self._seconds_max

    def _drop_group(self) -> None:
        dropped = not self._forget()
        while self._packets and not self._packets[0].packet.keyframe:
            dropped |= not self._forget()
        self.groups_dropped_total += dropped
        # Without its head the rest of a group is worth nothing.
        self._wants_keyframe = not self._packets

    def _forget(self) -> bool:
        """Whether the oldest packet had been sent."""
        packet = self._packets.popleft()
        self._bytes -= len(packet.packet.payload) + PACKET_BYTES
        was_taken = self._taken > 0
        if was_taken:
            self._taken -= 1
        else:
            self.packets_dropped_total += 1
        return was_taken
