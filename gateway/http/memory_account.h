// What peers make this process hold, in bytes, by the address that is answerable for it.
//
// Whatever is kept for a connection (its head, its body, messages that are not complete, queued subscribes,
// names of channels, frames that it does not read, grants) is charged to the account of its address, on
// whichever thread it is kept. All accounts together have a budget, which MemoryCeiling sets by the memory of
// the process. When it is exceeded, the accounts that hold the most are told what they may keep, and every
// thread ends what it keeps for them, the largest first, until they do. Threads do not wait for each other:
// one that keeps little for an account leaves it to those that keep much (gives_way()). Only questions that
// wait for Odoo and cached grants of the account go whatever they hold. An account that holds no more than an
// equal share of the budget is never told so.
//
// Counts are of bytes that were asked for, not of what the allocator makes of them.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "http/address.h"

namespace odoo_bus {

// What a list of texts takes.
size_t held_bytes(std::span<const std::string> texts);

class MemoryAccounts;

// Of one address (IPv6: of one /64), from any thread.
class MemoryAccount {
public:
    MemoryAccount(MemoryAccounts& all, std::optional<Address> address) : all_(all), address_(address) {}

    uint64_t held() const { return held_.load(std::memory_order_relaxed); }
    // It holds more than it may keep.
    bool exceeds() const { return held() > may_keep_.load(std::memory_order_relaxed); }
    // From how many bytes on a charge is one of its large ones: the mean of the charges, each weighted by
    // itself, which the largest is never below.
    uint64_t large() const;
    // Whether so much more may be kept for it: any amount while all together stay within the budget; up to an
    // equal share of that from a small reserve; up to an eighth of such a share whatever the others hold.
    bool may_add(size_t bytes) const;
    // Nothing when a proxy does not name it.
    const std::optional<Address>& address() const { return address_; }
    std::string name() const { return address_ ? address_->text() : std::string(); }

private:
    friend class MemoryAccounts;
    friend class MemoryCharge;

    void change(size_t from, size_t to);

    MemoryAccounts& all_;
    const std::optional<Address> address_;
    std::atomic<uint64_t> held_ = 0;
    std::atomic<uint64_t> squares_ = 0; // of each charge, in whole KiB
    std::atomic<uint64_t> may_keep_ = UINT64_MAX;
};

class MemoryAccounts {
public:
    // An account that holds no more than this is not told to hold less: an ordinary client, or some.
    static constexpr uint64_t ORDINARY = 64 << 10;

    // `on_exceeded`: called from any thread when the budget is exceeded, once until resume().
    explicit MemoryAccounts(std::function<void()> on_exceeded = [] {})
        : on_exceeded_(std::move(on_exceeded)) {}

    // --- from one thread ---

    std::shared_ptr<MemoryAccount> of(const std::optional<Address>& address);
    // Forgets accounts that nothing is charged to. To be called about once a second.
    void tidy();

    struct Largest {
        std::shared_ptr<const MemoryAccount> account;
        uint64_t held;
    };
    // Tells the accounts that hold the most to hold less, by so many bytes together, and the others that they
    // may keep everything. Returns those, the largest first; none when all are ordinary. on_exceeded() is not
    // called any more until resume().
    std::vector<Largest> lower(uint64_t bytes);
    // on_exceeded() may be called again.
    void resume() { told_ = false; }

    // --- from any thread ---

    uint64_t held() const { return held_.load(std::memory_order_relaxed); }
    uint64_t budget() const { return budget_.load(std::memory_order_relaxed); }
    void set_budget(uint64_t bytes) { budget_ = bytes; }
    size_t size() const { return size_.load(std::memory_order_relaxed); }

private:
    friend class MemoryAccount;

    void exceeded();

    const std::function<void()> on_exceeded_;
    std::map<std::optional<Address>, std::shared_ptr<MemoryAccount>> accounts_;
    std::atomic<size_t> size_ = 0; // of accounts_
    std::atomic<uint64_t> held_ = 0;
    std::atomic<uint64_t> budget_ = UINT64_MAX;
    std::atomic<bool> told_ = false;
};

// What one holder has charged; it gives that back at its end. Moves with what it stands for.
class MemoryCharge {
public:
    MemoryCharge() = default; // to no account
    explicit MemoryCharge(std::shared_ptr<MemoryAccount> account, size_t bytes = 0)
        : account_(std::move(account)) {
        set(bytes);
    }
    MemoryCharge(MemoryCharge&& other) noexcept
        : account_(std::move(other.account_)), bytes_(std::exchange(other.bytes_, 0)) {}
    MemoryCharge& operator=(MemoryCharge&& other) noexcept;
    ~MemoryCharge() { set(0); }

    // From now on it is so much.
    void set(size_t bytes);
    size_t bytes() const { return bytes_; }
    // The same bytes, to another account.
    void move_to(std::shared_ptr<MemoryAccount> account);
    const std::shared_ptr<MemoryAccount>& account() const { return account_; }
    bool exceeds() const { return account_ && account_->exceeds(); }
    // It is a large one of an account that exceeds: what it stands for is to be ended.
    bool gives_way() const { return exceeds() && bytes_ >= account_->large(); }
    bool may_add(size_t bytes) const { return !account_ || account_->may_add(bytes); }

private:
    std::shared_ptr<MemoryAccount> account_;
    size_t bytes_ = 0;
};

} // namespace odoo_bus
