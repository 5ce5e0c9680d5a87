"""What a command's exit code says; every command uses these."""

OK = 0  # as hoped
FAILED = 1  # a check failed
ERROR = 2  # the command line is wrong, or something broke inside
NOTHING_CHECKED = 3  # a build with the GIL, or one core: nothing could be checked
