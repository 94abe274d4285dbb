// The memory of this process, in bytes, as the kernel counts it.
#pragma once

#include <cstdint>

namespace odoo_bus {

// Resident pages (RSS), those that are shared with other processes included. Costs microseconds.
uint64_t resident_memory();

// Its proportional share of resident pages (PSS). Costs milliseconds for each gigabyte. Where the kernel does
// not tell, resident_memory().
uint64_t proportional_memory();

// Makes the allocator return large blocks when they are freed, which it otherwise learns to keep.
void keep_memory_returnable();
// Returns freed memory to the kernel. Costs milliseconds for each gigabyte.
void return_memory();

} // namespace odoo_bus
