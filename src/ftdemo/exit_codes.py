"""The exit codes of every command, and the exception that ends it with ERROR."""

OK = 0  # every check passed
FAILED = 1  # a check failed
ERROR = 2  # a usage error or an internal error
NOTHING_CHECKED = 3  # nothing could be checked: a build with the GIL, or one core


class CommandError(Exception):
    """A command cannot do what it was asked to; the message, for people, says why."""
