// pybind11: C++ with a std::mutex in each account. No Python code runs while a thread holds one, so
// a thread that waits for one while it is attached to the interpreter does not wait for long.

#include <cstdint>
#include <mutex>
#include <pybind11/pybind11.h>
#include <stdexcept>

namespace py = pybind11;

// An exact count of minor units, from 0 to 2**63 - 1.
class Account {
  public:
    explicit Account(int64_t balance) : balance_(balance)
    {
        if (balance < 0) {
            throw std::invalid_argument("balance is negative");
        }
    }

    int64_t balance() const
    {
        std::lock_guard lock(mutex_);
        return balance_;
    }

    void deposit(int64_t amount)
    {
        check(amount);
        std::lock_guard lock(mutex_);
        if (amount > INT64_MAX - balance_) {
            throw std::overflow_error("result exceeds a signed 64-bit integer");
        }
        balance_ += amount;
    }

    void withdraw(int64_t amount)
    {
        check(amount);
        std::lock_guard lock(mutex_);
        if (amount > balance_) {
            throw std::invalid_argument("amount exceeds the balance");
        }
        balance_ -= amount;
    }

    static void transfer(Account &src, Account &dst, int64_t amount)
    {
        check(amount);
        if (&src == &dst) { // a std::mutex cannot be taken twice
            std::lock_guard lock(src.mutex_);
            move_lock_held(src, dst, amount);
        }
        else { // takes both without a deadlock, in any order
            std::scoped_lock lock(src.mutex_, dst.mutex_);
            move_lock_held(src, dst, amount);
        }
    }

  private:
    static void check(int64_t amount)
    {
        if (amount < 1) {
            throw std::invalid_argument("amount is not positive");
        }
    }

    static void move_lock_held(Account &src, Account &dst, int64_t amount)
    {
        if (amount > src.balance_) {
            throw std::invalid_argument("amount exceeds the balance");
        }
        if (&src != &dst && amount > INT64_MAX - dst.balance_) {
            throw std::overflow_error("result exceeds a signed 64-bit integer");
        }
        src.balance_ -= amount;
        dst.balance_ += amount;
    }

    mutable std::mutex mutex_;
    int64_t balance_; // guarded by: mutex_
};

PYBIND11_MODULE(pybind11_mutex, m, py::mod_gil_not_used())
{
    py::class_<Account>(m, "Account")
        .def(py::init<int64_t>(), py::arg("balance") = 0)
        .def("deposit", &Account::deposit)
        .def("withdraw", &Account::withdraw)
        .def_property_readonly("balance", &Account::balance);
    m.def("transfer", &Account::transfer);
}
