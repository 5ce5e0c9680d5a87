"""How long each public operation takes, by itself: pyperf's judgement, over many processes.

    python benchmarks/absolute.py --fast -o FILE

Takes pyperf's options. The loop of the timing is part of each figure, as pyperf has it.
"""

import pyperf

OPERATIONS = {
    "Account()": ("Account()", "pass"),
    "Account.deposit(1)": ("a.deposit(1)", "a = Account()"),
    "Account.balance": ("a.balance", "a = Account()"),
    "transfer(a, b, 1)": ("transfer(a, b, 1)", "a, b = Account(2**60), Account()"),
    "total(a, b)": ("total(a, b)", "a, b = Account(), Account()"),
    "next(tickets)": ("next(tickets)", "tickets = Tickets(0, 2**62)"),
    "intern('key')": ("intern('key')", "intern('key')"),
    "Checksum.update(b'x')": ("c.update(b'x')", "c = Checksum()"),
    "Checksum.update of 1 MiB": ("c.update(data)", "c, data = Checksum(), bytes(2**20)"),
    "sum_of_squares(1000)": ("sum_of_squares(1000)", "pass"),
}
NAMES = "from ftdemo import Account, Checksum, Tickets, intern, sum_of_squares, total, transfer"


def main() -> None:
    runner = pyperf.Runner()
    for name, (code, setup) in OPERATIONS.items():
        runner.timeit(name, code, f"{NAMES}\n{setup}")


if __name__ == "__main__":
    main()
