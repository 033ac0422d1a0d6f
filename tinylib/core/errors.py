"""The one exception that users of tinylib are meant to read."""


class TinylibError(Exception):
    """Bad input or a missing file; the message says what is wrong and what to do about it."""
