"""The same Account for each toolkit that ftdemo is compared with, and a contract for all of them.

Install this package into a temporary environment, and not into one in which you develop ftdemo: see
pyproject.toml. Then `python -m peers.contract` prints which peers are installed and keep the
contract.
"""

NAMES = ("python_lock", "cython_section", "nanobind_lock", "pybind11_mutex")
