from ftdemo._ready import *  # noqa: F403 - the same names
