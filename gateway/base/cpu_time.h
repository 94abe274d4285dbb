// The processor time of a thread: waiting for the processor does not lengthen it.
#pragma once

#include <chrono>
#include <ctime>

namespace odoo_bus {

// What the calling thread has used since it began.
inline std::chrono::nanoseconds thread_cpu_time() {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

} // namespace odoo_bus
