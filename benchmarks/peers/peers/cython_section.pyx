# cython: language_level=3, freethreading_compatible=True
"""Cython: the critical section of one object, and of two."""

cimport cython
from libc.stdint cimport INT64_MAX, int64_t


cdef class Account:
    """An exact count of minor units, from 0 to 2**63 - 1."""

    cdef int64_t _balance

    def __cinit__(self, balance: int = 0):
        cdef int64_t value = balance
        if value < 0:
            raise ValueError("balance is negative")
        self._balance = value

    @property
    def balance(self):
        with cython.critical_section(self):
            return self._balance

    # With int64_t amount, Cython would convert 1.5 to 1; so check first that it is an int.
    def deposit(self, amount: int, /):
        """Add amount."""
        cdef int64_t value = amount
        if value < 1:
            raise ValueError("amount is not positive")
        with cython.critical_section(self):
            if value > INT64_MAX - self._balance:
                raise OverflowError("result exceeds a signed 64-bit integer")
            self._balance += value

    def withdraw(self, amount: int, /):
        """Take out amount."""
        cdef int64_t value = amount
        if value < 1:
            raise ValueError("amount is not positive")
        with cython.critical_section(self):
            if value > self._balance:
                raise ValueError("amount exceeds the balance")
            self._balance -= value


def transfer(Account src not None, Account dst not None, amount: int, /):
    """Move amount from src to dst."""
    cdef int64_t value = amount
    if value < 1:
        raise ValueError("amount is not positive")
    with cython.critical_section(src, dst):
        if value > src._balance:
            raise ValueError("amount exceeds the balance")
        if src is not dst and value > INT64_MAX - dst._balance:
            raise OverflowError("result exceeds a signed 64-bit integer")
        src._balance -= value
        dst._balance += value
