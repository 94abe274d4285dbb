// The dates of what stands in the files of the state directory. Until the machine is started anew they are
// its monotonic clock and a constant, so that it does not matter how often its wall clock is set: what was
// dispatched a moment before a kill -9 is a moment old after it.
//
// The constant is kept in the directory, with which boot it is of. After a reboot the wall clock is all that
// there is to tell how long it took.
#pragma once

#include <string>

#include "base/clock.h"

namespace odoo_bus::file_clock {

WallTime date_of(Monotonic time);
// The inverse; never later than now.
Monotonic time_of(WallTime date);

// Before the first file of the directory is read. `boot`: what the kernel calls this one.
void load(const std::string& directory, const std::string& boot);
// Now and then: what the wall clock says, for the time after a reboot.
void save(const std::string& directory, const std::string& boot);

std::string boot_id();

} // namespace odoo_bus::file_clock
