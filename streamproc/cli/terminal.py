"""Words of others, on a terminal."""


def harmless(text: str) -> str:
    """The text without what a terminal would obey: a file, an object and a person may be named
    anything."""
    return "".join(char if char.isprintable() else "\ufffd" for char in text)
