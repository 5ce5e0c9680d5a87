"""What a child of `ftdemo stress` runs: find operations, let threads collide, compare outcomes.

probe.py is the program, which ftdemo.stress.children starts. It is not inside ftdemo.stress, which
a child would have to import then: a run starts hundreds of children.
"""

# A child writes this and the operations to stderr before each step, on an interpreter that is built
# with ThreadSanitizer. The reports that follow belong to these operations.
MARK = "ftdemo stress: "
