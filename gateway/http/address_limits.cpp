// What one address may take.
#include "http/address_limits.h"

namespace odoo_bus {

namespace {

Address counted_as(const Address& address) {
    return address.is_ipv4() ? address : address.prefix(64);
}

} // namespace

AddressLimits::Entry& AddressLimits::entry(const Address& address) {
    Entry& entry = entries_[counted_as(address)];
    if (!entry)
        entry = std::make_shared<TokenBucket>();
    return entry;
}

AddressLimits::Seat AddressLimits::take_seat(const Address& address) {
    const Entry& found = entry(address);
    if (bounds_.connections && static_cast<uint64_t>(found.use_count() - 1) >= bounds_.connections)
        return {};
    return Seat(found);
}

bool AddressLimits::take_handshake(const Address& address, int64_t now_us) {
    return !bounds_.handshakes_second || entry(address)->take(bounds_.handshakes_second, now_us);
}

void AddressLimits::tidy(int64_t now_us) {
    std::erase_if(entries_, [now_us](const auto& each) {
        return each.second.use_count() == 1 && each.second->is_rested(now_us);
    });
}

} // namespace odoo_bus
