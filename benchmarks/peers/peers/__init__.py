"""The same Account for each toolkit that ftdemo is compared with, and a check of its behaviour.

Install this package into a temporary environment, and not into one in which you develop ftdemo: see
pyproject.toml. Then `python -m peers.contract` prints which peers are installed and behave like
ftdemo's Account.
"""

NAMES = ("python_lock", "cython_section", "nanobind_lock", "pybind11_mutex")
