"""account.c: one operation on two objects."""

import copy
import gc
import itertools
import pickle
from functools import partial

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

MAX = 2**63 - 1


def make(ftdemo):
    return ftdemo.Account()


def step(ftdemo, account):
    other = ftdemo.Account(5)
    account.deposit(1)
    account.withdraw(1)
    other.transfer_to(account, 5)
    ftdemo.transfer(account, other, 5)
    assert ftdemo.total(account, other) >= other.balance == 5


def use(ftdemo):
    step(ftdemo, make(ftdemo))
    a = ftdemo.Account(balance=5)
    for operation, *arguments in (
        (a.withdraw, 10**6),
        (a.deposit, 2**63 - 1),
        (a.deposit, "1"),
        (a.transfer_to, None, 1),
        (ftdemo.Account, 2**63),
    ):
        try:
            operation(*arguments)
        except (ValueError, OverflowError, TypeError):
            continue
        raise AssertionError(operation)
    assert a.balance == 5


def check(amount):
    if not -MAX - 1 <= amount <= MAX:
        raise OverflowError
    if amount <= 0:
        raise ValueError


class Model:
    """An account in plain Python."""

    def __init__(self, balance):
        self.balance = balance

    def deposit(self, amount):
        check(amount)
        if self.balance + amount > MAX:
            raise OverflowError
        self.balance += amount

    def withdraw(self, amount):
        check(amount)
        if amount > self.balance:
            raise ValueError
        self.balance -= amount

    def transfer_to(self, other, amount):
        before = self.balance
        self.withdraw(amount)
        try:
            other.deposit(amount)
        except OverflowError:
            self.balance = before
            raise


def outcome(function, *arguments):
    try:
        return function(*arguments)
    except (ValueError, OverflowError) as error:
        return type(error)


balances = st.one_of(st.integers(0, 100), st.integers(0, MAX), st.integers(MAX - 100, MAX))
amounts = st.one_of(
    st.integers(-5, 100), st.integers(-(2**65), 2**65), st.integers(MAX - 9, MAX + 9)
)


@given(first=balances, second=balances, steps=st.lists(st.tuples(st.integers(0, 4), amounts)))
@example(first=1, second=MAX, steps=[(2, 1), (2, 2)])  # transfers that fail
def test_account_agrees_with_the_model(extension, first, second, steps):
    real = extension.Account(first), extension.Account(balance=second)
    model = Model(first), Model(second)
    for step, amount in steps:
        operations = [
            (real[0].deposit, model[0].deposit, ()),
            (real[1].withdraw, model[1].withdraw, ()),
            (real[0].transfer_to, model[0].transfer_to, (1,)),
            (partial(extension.transfer, real[1]), model[1].transfer_to, (0,)),
            (real[0].transfer_to, model[0].transfer_to, (0,)),
        ]
        on_real, on_model, others = operations[step]
        assert outcome(on_real, *(real[i] for i in others), amount) == outcome(
            on_model, *(model[i] for i in others), amount
        )
        assert [a.balance for a in real] == [a.balance for a in model]
        for one, other in itertools.product((0, 1), repeat=2):
            total = model[one].balance + model[other].balance
            expected = OverflowError if total > MAX else total
            assert outcome(extension.total, real[one], real[other]) == expected


def test_the_constructor_checks_the_balance(extension):
    assert extension.Account().balance == 0
    assert extension.Account(MAX).balance == MAX
    assert extension.Account(balance=7).balance == 7
    with pytest.raises(ValueError, match="at least 0"):
        extension.Account(-1)
    for too_large in (MAX + 1, 2**70, -(2**70)):
        with pytest.raises(OverflowError, match="int too big"):
            extension.Account(too_large)
    with pytest.raises(TypeError):
        extension.Account(1, 2)
    with pytest.raises(TypeError):
        extension.Account(amount=1)


class IntLike:
    def __index__(self):
        raise AssertionError("not to be called")


def test_type_errors_change_nothing(extension):
    a, b = extension.Account(5), extension.Account(5)
    pay, transfer = partial(a.transfer_to, b), partial(extension.transfer, a, b)
    for operation in (extension.Account, a.deposit, a.withdraw, pay, transfer):
        for wrong in (True, 1.0, "1", None, 1 + 0j, IntLike()):
            with pytest.raises(TypeError, match="expected an int"):
                operation(wrong)
    for operation, *wrong in (
        (a.transfer_to, 1, 1),
        (a.transfer_to, None, 1),
        (extension.transfer, a, object(), 1),
        (extension.transfer, object(), a, 1),
        (extension.total, a, 1),
        (extension.total, 1, a),
    ):
        with pytest.raises(TypeError, match="Account"):
            operation(*wrong)
    for operation in (
        *(a.deposit, pay, partial(pay, 1, 1), partial(pay, amount=1), transfer),
        *(partial(extension.total, a), partial(extension.total, a, a, a)),
    ):
        with pytest.raises(TypeError):
            operation()
    assert (a.balance, b.balance) == (5, 5)


@pytest.mark.all_modules
def test_type_error_when_an_account_is_of_legacy(fresh_python):
    program = "import ftdemo, ftdemo.legacy as l; l.total(ftdemo.Account(), l.Account())"
    done = fresh_python("-W", "ignore", "-c", program)
    assert "TypeError: total() expected <class 'ftdemo.legacy.Account'>" in done.stderr


def test_type_error_when_an_account_is_of_another_module(another_module):
    module, other = another_module(), another_module()
    with pytest.raises(TypeError, match="Account"):
        module.total(module.Account(), other.Account())


def test_an_account_keeps_its_module_alive(another_module):
    account = another_module().Account(5)
    gc.collect()
    account.deposit(1)
    assert account.balance == 6


def test_neither_balance_nor_type_can_be_replaced(extension):
    with pytest.raises(AttributeError):
        extension.Account().balance = 1
    with pytest.raises(TypeError):
        extension.Account.deposit = None


def test_new_initializes_and_init_changes_nothing(extension):
    assert extension.Account.__new__(extension.Account).balance == 0
    with pytest.raises(TypeError):
        object.__new__(extension.Account)
    a = extension.Account(5)
    a.__init__(7)
    assert a.balance == 5


def test_a_subclass_works_like_account(extension):
    class Named(extension.Account):
        __slots__ = ("name",)

    class Open(extension.Account):
        pass

    a, b = Named(5), Open(balance=1)
    a.name, b.name = "a", "b"
    a.transfer_to(b, 2)
    extension.transfer(b, a, 1)
    assert (a.balance, b.balance, a.name, b.name) == (4, 2, "a", "b")
    with pytest.raises(AttributeError):
        a.other = 1
    for account in (a, b):
        copied = copy.copy(account)
        assert type(copied) is type(account)
        assert (copied.balance, copied.name) == (account.balance, account.name)
        assert copied is not account


def test_a_copy_is_independent(extension):
    a = extension.Account(5)
    for b in (copy.copy(a), copy.deepcopy(a)):
        b.deposit(1)
        assert (a.balance, b.balance) == (5, 6)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickle(extension, protocol):
    a = extension.Account(MAX)
    if protocol < 2:
        with pytest.raises(TypeError):
            pickle.dumps(a, protocol)
    else:
        b = pickle.loads(pickle.dumps(a, protocol))
        assert type(b) is extension.Account
        assert b.balance == MAX


@pytest.mark.race
def test_no_deposit_is_lost_when_threads_deposit(extension, together):
    a = extension.Account()

    def deposit(_):
        for _ in range(2_000):
            a.deposit(1)

    together(deposit, deposit, times=500)
    assert a.balance == 2 * 500 * 2_000


@pytest.mark.race
def test_one_of_two_deposits_fails_when_only_one_fits(extension, together):
    """There is room for one more unit, so one of two concurrent deposits must fail."""
    accounts = [extension.Account(MAX - 1) for _ in range(5_000)]

    def deposit(n):
        try:
            accounts[n].deposit(1)
        except OverflowError:
            return 0
        return 1

    assert sum(map(sum, together(deposit, deposit, times=len(accounts)))) == len(accounts)


@pytest.mark.race
def test_no_withdrawal_is_lost_when_threads_withdraw(extension, together):
    a = extension.Account(2 * 500 * 2_000)

    def withdraw(_):
        for _ in range(2_000):
            a.withdraw(1)

    together(withdraw, withdraw, times=500)
    assert a.balance == 0


@pytest.mark.race
def test_sum_is_constant_when_threads_transfer_both_ways(extension, together):
    """Transfers in both directions at once lose nothing and do not deadlock."""
    a, b = extension.Account(10_000), extension.Account(10_000)

    def move(*transfers):
        for _ in range(500):
            for transfer in transfers:
                try:
                    transfer(1)
                except ValueError:
                    pass

    def one_way(_):
        move(partial(extension.transfer, a, b), partial(b.transfer_to, a))

    def the_other(_):
        move(partial(extension.transfer, b, a), partial(a.transfer_to, b))

    together(one_way, the_other, times=500)
    assert a.balance + b.balance == 20_000


@pytest.mark.race
def test_total_is_constant_during_transfers(extension, together):
    a, b = extension.Account(1_000), extension.Account(1_000)

    def move(_):
        for _ in range(500):
            extension.transfer(a, b, 7)
            extension.transfer(b, a, 7)
        return set()

    def watch(_):
        return {extension.total(a, b) for _ in range(1_000)}

    assert set().union(*itertools.chain(*together(move, watch, times=500))) == {2_000}


@pytest.mark.race
def test_balance_is_constant_during_failing_transfers(extension, together):
    """The transfer takes the money and puts it back: no other thread may see it missing.

    The other thread reads both accounts: the transfer then waits for `full` while money is missing.
    """
    a, full = extension.Account(5), extension.Account(MAX)

    def fail(_):
        raised = 0
        for _ in range(2_000):
            try:
                extension.transfer(a, full, 5)
            except OverflowError:
                raised += 1
        return set() if raised == 2_000 else {"a transfer went through"}

    def watch(_):
        return {(a.balance, full.balance) for _ in range(4_000)}

    assert set().union(*itertools.chain(*together(fail, watch, times=500))) == {(5, MAX)}
