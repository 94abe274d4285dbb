// What peers make this process hold.
#include "http/memory_account.h"

#include <algorithm>
#include <functional>

#include "base/common_level.h"
#include "http/address_limits.h"

namespace odoo_bus {

size_t held_bytes(std::span<const std::string> texts) {
    size_t bytes = texts.size_bytes();
    for (const std::string& text : texts)
        bytes += text.size();
    return bytes;
}

// --- one account ---

namespace {

constexpr int KIB = 10;

constexpr uint64_t squared(uint64_t number) {
    return number * number;
}

} // namespace

void MemoryAccount::change(size_t from, size_t to) {
    // The difference wraps around, and so does the sum: what is left is right.
    held_.fetch_add(to - from, std::memory_order_relaxed);
    squares_.fetch_add(squared(to >> KIB) - squared(from >> KIB), std::memory_order_relaxed);
    const uint64_t before = all_.held_.fetch_add(to - from, std::memory_order_relaxed);
    if (to > from && before + (to - from) > all_.budget())
        all_.exceeded();
}

uint64_t MemoryAccount::large() const {
    const uint64_t held = this->held() >> KIB;
    return held == 0 ? 0 : squares_.load(std::memory_order_relaxed) / held << KIB;
}

bool MemoryAccount::may_add(size_t bytes) const {
    const uint64_t budget = all_.budget(), share = budget / std::max<size_t>(1, all_.size());
    const uint64_t all = all_.held() + bytes, own = held() + bytes;
    if (all <= budget || own <= share / 8 || (own <= share && all <= budget + budget / 16))
        return true;
    all_.exceeded();
    return false;
}

// --- all accounts ---

std::shared_ptr<MemoryAccount> MemoryAccounts::of(const std::optional<Address>& address) {
    const auto key = address ? std::optional(counted_as(*address)) : std::nullopt;
    auto& account = accounts_[key];
    if (!account) {
        account = std::make_shared<MemoryAccount>(*this, key);
        size_ = accounts_.size();
    }
    return account;
}

void MemoryAccounts::tidy() {
    std::erase_if(accounts_, [](const auto& each) { return each.second.use_count() == 1; });
    size_ = accounts_.size();
}

void MemoryAccounts::exceeded() {
    if (!told_.exchange(true))
        on_exceeded_();
}

std::vector<MemoryAccounts::Largest> MemoryAccounts::lower(uint64_t bytes) {
    std::vector<uint64_t> amounts;
    for (const auto& [address, account] : accounts_)
        amounts.push_back(account->held());
    told_ = true;
    const uint64_t level = std::max(common_level(std::move(amounts), bytes), ORDINARY);
    std::vector<Largest> told;
    for (const auto& [address, account] : accounts_) {
        // Clients whom a proxy does not name are many, maybe all: they keep half of the budget.
        const uint64_t keep = address ? level : std::max(level, budget() / 2), held = account->held();
        account->may_keep_ = held > keep ? keep : UINT64_MAX;
        if (held > keep)
            told.push_back({account, held});
    }
    std::ranges::sort(told, std::greater(), &Largest::held);
    return told;
}

// --- one charge ---

MemoryCharge& MemoryCharge::operator=(MemoryCharge&& other) noexcept {
    if (this != &other) {
        set(0);
        account_ = std::move(other.account_);
        bytes_ = std::exchange(other.bytes_, 0);
    }
    return *this;
}

void MemoryCharge::set(size_t bytes) {
    const size_t before = std::exchange(bytes_, bytes);
    if (account_ && bytes != before)
        account_->change(before, bytes);
}

void MemoryCharge::move_to(std::shared_ptr<MemoryAccount> account) {
    if (account == account_)
        return;
    const size_t bytes = bytes_;
    set(0);
    account_ = std::move(account);
    set(bytes);
}

} // namespace odoo_bus
