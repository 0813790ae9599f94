"""streamproc watches live video for people you know."""

__version__ = "0.1.0"
