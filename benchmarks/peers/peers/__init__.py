"""The same Account once more for each toolkit that ftdemo is compared with, and a contract.

Build it into a throw-away environment, never one that ftdemo is developed in: see pyproject.toml.
`python -m peers.contract` then says which peers are here, and that they do what ftdemo does.
"""

NAMES = ("python_lock", "cython_section", "nanobind_lock", "pybind11_mutex")
