"""The exit codes of every command."""

OK = 0  # every check passed
FAILED = 1  # a check failed
ERROR = 2  # a usage error or an internal error
NOTHING_CHECKED = 3  # nothing could be checked: a build with the GIL, or one core
