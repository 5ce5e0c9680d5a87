// nanobind: plain C++ without threads; the bindings lock the arguments.

#include <cstdint>
#include <nanobind/nanobind.h>
#include <stdexcept>

namespace nb = nanobind;

// An exact count of minor units, from 0 to 2**63 - 1.
struct Account {
    explicit Account(int64_t balance) : balance(balance)
    {
        if (balance < 0) {
            throw std::invalid_argument("balance is negative");
        }
    }

    void deposit(int64_t amount)
    {
        if (amount < 1) {
            throw std::invalid_argument("amount is not positive");
        }
        if (amount > INT64_MAX - balance) {
            throw std::overflow_error("result exceeds a signed 64-bit integer");
        }
        balance += amount;
    }

    void withdraw(int64_t amount)
    {
        if (amount < 1) {
            throw std::invalid_argument("amount is not positive");
        }
        if (amount > balance) {
            throw std::invalid_argument("amount exceeds the balance");
        }
        balance -= amount;
    }

    int64_t balance;
};

static void transfer(Account &src, Account &dst, int64_t amount)
{
    if (amount < 1) {
        throw std::invalid_argument("amount is not positive");
    }
    if (amount > src.balance) {
        throw std::invalid_argument("amount exceeds the balance");
    }
    if (&src != &dst && amount > INT64_MAX - dst.balance) {
        throw std::overflow_error("result exceeds a signed 64-bit integer");
    }
    src.balance -= amount;
    dst.balance += amount;
}

NB_MODULE(nanobind_lock, m)
{
    nb::class_<Account>(m, "Account")
        .def(nb::init<int64_t>(), nb::arg("balance") = 0)
        .def("deposit", &Account::deposit, nb::lock_self())
        .def("withdraw", &Account::withdraw, nb::lock_self())
        .def_prop_ro("balance", [](const Account &self) { return self.balance; }, nb::lock_self());
    m.def("transfer", &transfer, nb::arg().lock(), nb::arg().lock(), nb::arg());
}
