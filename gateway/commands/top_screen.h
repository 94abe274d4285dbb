// What `top` shows: one screen of two scrapes.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "commands/metrics_text.h"

namespace odoo_bus {

// What a gateway answered at one time.
struct Scrape {
    Monotonic at;
    WallTime date;
    MetricsText metrics{""};
    std::string ready; // of /ready
    bool is_ready = false;
    Json clients; // of /clients.json; null: `no_clients` says why
    std::string no_clients;
};

struct ScreenSize {
    size_t columns;
    size_t rows;
};

struct ScreenLine {
    std::string text; // printable, no longer than the screen is wide
    bool is_title = false;
};

// `before`: an earlier scrape, or null; rates are of the time between them. `where`: the gateway's address.
// No more lines than the screen has rows, which the tables share.
std::vector<ScreenLine> top_screen(const std::string& where, const Scrape& now, const Scrape* before,
                                   ScreenSize size);

} // namespace odoo_bus
