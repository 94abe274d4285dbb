// Clients that have come from another gateway, and with which `last`: until they come back with another one,
// it was not this gateway that gave it to them. Shared by all service threads.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <mutex>
#include <utility>
#include <vector>

#include "base/keyed_hash.h"
#include "protocol/id.h"

namespace odoo_bus {

class MovedClients {
public:
    // True when the client has come before, and with another `last`. A client that is not known (any more)
    // counts as coming for the first time.
    bool has_gone_on(uint64_t mover, Id last);

    // --- another process takes over ---

    // All of them, in the order in which they came. From now on the other process keeps them.
    std::vector<std::pair<uint64_t, Id>> hand_over();
    void take_back() { handed_over_ = false; }
    // When it is false after a call of has_gone_on(), that call counts in the other process, too.
    bool is_handed_over() const { return handed_over_; }

private:
    static constexpr size_t MAX_MOVERS = 100'000;

    std::mutex mutex_;
    KeyedMap<uint64_t, Id> lasts_;
    std::deque<uint64_t> order_; // of their first coming
    std::atomic<bool> handed_over_ = false;
};

} // namespace odoo_bus
