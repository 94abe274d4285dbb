// Limits of one address: connections, and handshakes per second.
//
// The HTTP server's thread owns the limits; any thread may give up a seat.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <utility>

#include "base/clock.h"
#include "base/token_bucket.h"
#include "http/address.h"

namespace odoo_bus {

// What one customer has: an IPv4 address, or the /64 of an IPv6 address.
Address counted_as(const Address& address);

class AddressLimits {
public:
    struct Bounds {
        uint64_t connections;       // 0: any number
        uint64_t handshakes_second; // 0: any number
    };
    explicit AddressLimits(Bounds bounds) : bounds_(bounds) {}
    void configure(Bounds bounds) { bounds_ = bounds; }

    // Held by a connection for as long as it lives. It moves with the connection and is never copied: if one
    // connection had two seats for a moment, another connection would be refused.
    class Seat {
    public:
        Seat() = default;
        Seat(Seat&&) = default;
        Seat& operator=(Seat&&) = default;
        explicit operator bool() const { return entry_ != nullptr; }

    private:
        friend AddressLimits;
        explicit Seat(std::shared_ptr<TokenBucket> entry) : entry_(std::move(entry)) {}
        std::shared_ptr<TokenBucket> entry_; // its use count is the number of its seats plus one
    };

    // An empty seat when the address has as many connections as it may have.
    Seat take_seat(const Address& address);
    // False when the address has exceeded its rate of handshakes.
    bool take_handshake(const Address& address, Monotonic now);

    // Forgets addresses that have neither a connection nor a recent handshake. To be called about once a
    // second.
    void tidy(Monotonic now);
    size_t addresses() const { return entries_.size(); }

private:
    // The address's handshakes; every seat shares it.
    using Entry = std::shared_ptr<TokenBucket>;
    std::map<Address, Entry> entries_;
    Bounds bounds_;

    Entry& entry(const Address& address);
};

} // namespace odoo_bus
