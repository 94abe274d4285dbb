// What one address may take.
#include "address_limits.h"

#include <algorithm>

namespace odoo_bus {

namespace {

constexpr int64_t BURST_US = 5'000'000;

Address counted_as(const Address& address) {
    return address.is_ipv4() ? address : address.prefix(64);
}

} // namespace

std::shared_ptr<AddressLimits::Entry>& AddressLimits::entry(const Address& address) {
    std::shared_ptr<Entry>& entry = entries_[counted_as(address)];
    if (!entry)
        entry = std::make_shared<Entry>();
    return entry;
}

AddressLimits::Seat AddressLimits::take_seat(const Address& address) {
    const std::shared_ptr<Entry>& found = entry(address);
    if (bounds_.connections && static_cast<uint64_t>(found.use_count() - 1) >= bounds_.connections)
        return nullptr;
    return found;
}

bool AddressLimits::take_handshake(const Address& address, int64_t now_us) {
    if (!bounds_.handshakes_second)
        return true;
    const int64_t each = std::max<int64_t>(1'000'000 / static_cast<int64_t>(bounds_.handshakes_second), 1);
    Entry& found = *entry(address);
    const int64_t full_at = std::max(found.full_at_us, now_us) + each;
    if (full_at > now_us + BURST_US + each)
        return false;
    found.full_at_us = full_at;
    return true;
}

void AddressLimits::tidy(int64_t now_us) {
    std::erase_if(entries_, [now_us](const auto& each) {
        return each.second.use_count() == 1 && each.second->full_at_us <= now_us;
    });
}

} // namespace odoo_bus
