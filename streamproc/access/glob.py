"""Patterns as IAM writes them: * stands for any characters, none included, ? for exactly one.

Matched without going back: all places in the pattern that the text may have reached are the
bits of one integer, which each character of the text moves on at once. So the time is that of
reading the text, whatever the pattern (Baeza-Yates and Gonnet, "A new approach to text
searching", 1992). Knows nothing of policies; neither * nor ? stops at a colon or a slash.
"""


class Glob:
    """One pattern, ready to be asked."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        first = min((place for place in map(pattern.find, "*?") if place >= 0), default=-1)
        self._head = pattern if first < 0 else pattern[:first]
        self._tail = "" if first < 0 else pattern[first:]
        self._steps: dict[str, int] = {}  # by character: the places it leads on from
        self._any = 0  # the places that every character leads on from
        self._stays = 0  # the places that every character may be spent at
        place = 0
        for character in self._tail:
            bit = 1 << place
            if character == "*":
                self._stays |= bit
                continue
            if character == "?":
                self._any |= bit
            else:
                self._steps[character] = self._steps.get(character, 0) | bit
            place += 1
        self._end = 1 << place

    def matches(self, text: str) -> bool:
        """Whether the pattern stands for the whole text."""
        if not text.startswith(self._head):
            return False
        if not self._tail:
            return len(text) == len(self._head)
        if self._tail == "*":
            return True
        reached = 1
        for character in text[len(self._head) :]:
            leads_on = reached & (self._any | self._steps.get(character, 0))
            reached = leads_on << 1 | reached & self._stays
            if not reached:
                return False
        return bool(reached & self._end)
