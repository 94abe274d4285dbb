// Limits of one address.
#include "http/address_limits.h"

namespace odoo_bus {

Address counted_as(const Address& address) {
    return address.is_ipv4() ? address : address.prefix(64);
}

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

bool AddressLimits::take_handshake(const Address& address, Monotonic now) {
    return !bounds_.handshakes_second || entry(address)->take(bounds_.handshakes_second, now);
}

void AddressLimits::tidy(Monotonic now) {
    std::erase_if(entries_, [now](const auto& each) {
        return each.second.use_count() == 1 && each.second->is_full(now);
    });
}

} // namespace odoo_bus
