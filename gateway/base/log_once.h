// For lines that say something once of each thing, where clients choose the things.
#pragma once

#include <mutex>
#include <set>
#include <string>
#include <string_view>

#include "base/log.h"

namespace odoo_bus::log {

// Give it static storage, one for each kind of line, as Limited.
class Once {
public:
    explicit Once(std::string_view kind) : lines_(kind, 1) {}

    // True when the line about this thing is to be written now. What is suppressed as one of too many things
    // a second is said later.
    bool admit(Level level, const std::string& thing) {
        const std::lock_guard lock(mutex_);
        if (said_.contains(thing) || !lines_.admit(level, Limited::Clock::now()))
            return false;
        if (said_.size() >= MOST)
            said_.clear();
        said_.insert(thing);
        return true;
    }

private:
    static constexpr size_t MOST = 1'000;

    std::mutex mutex_;
    std::set<std::string> said_;
    Limited lines_;
};

} // namespace odoo_bus::log
