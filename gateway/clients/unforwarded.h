// What a client says to Odoo's own bus server alone, and that server is not told: counted, and logged once
// for each kind of it, with what mends it.
#pragma once

#include <string>
#include <string_view>

#include "config/options.h"

namespace odoo_bus {

enum class Unforwarded {
    subscribe,  // a key of a subscribe: it is served without it
    event,      // there is no --odoo-websocket
    late_event, // that server could not be reached, or did not read
};
// `name`: of the key or the event.
void note_unforwarded(Unforwarded what, std::string_view name);

// Odoo's own bus server could be used, or could not, for this reason: each change is logged.
void note_odoo_websocket(const Options& options, const std::string& problem);

} // namespace odoo_bus
