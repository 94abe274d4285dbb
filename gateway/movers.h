// Clients that have come from another gateway, and with which `last`: until they come back with another one,
// it was not this gateway that gave it to them. Shared by all service threads.
#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <unordered_map>

#include "id_set.h"

namespace odoo_bus {

class Movers {
public:
    // True when the client has come before, and with another `last`. Who is not known (any more) counts as
    // coming for the first time.
    bool has_gone_on(uint64_t mover, Id last);

private:
    static constexpr size_t MAX_MOVERS = 100'000;

    std::mutex mutex_;
    std::unordered_map<uint64_t, Id> lasts_;
    std::deque<uint64_t> order_; // of their first coming
};

} // namespace odoo_bus
