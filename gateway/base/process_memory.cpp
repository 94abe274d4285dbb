// The memory of this process, from /proc, and the allocator of glibc.
#include "base/process_memory.h"

#include <cstdio>

#include <malloc.h>
#include <unistd.h>

namespace odoo_bus {

namespace {

// From this size on a block is mapped on its own. By default the threshold rises with what is freed, up to 32
// MiB, and blocks below it leave holes.
constexpr int MAPPED_BYTES = 128 << 10;
// Freed memory at the end of a heap that is kept. By default twice the threshold, which would be too little
// for the frames of a busy fan-out.
constexpr int KEPT_BYTES = 2 << 20;

} // namespace

uint64_t resident_memory() {
    unsigned long long total = 0, resident = 0;
    if (FILE* const file = fopen("/proc/self/statm", "re")) {
        if (fscanf(file, "%llu %llu", &total, &resident) != 2)
            resident = 0;
        fclose(file);
    }
    return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

uint64_t proportional_memory() {
    unsigned long long kibibytes = 0;
    if (FILE* const file = fopen("/proc/self/smaps_rollup", "re")) {
        char line[256];
        while (fgets(line, sizeof line, file) && sscanf(line, "Pss: %llu kB", &kibibytes) != 1)
            continue;
        fclose(file);
    }
    return kibibytes ? kibibytes << 10 : resident_memory();
}

void keep_memory_returnable() {
    mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES);
    mallopt(M_TRIM_THRESHOLD, KEPT_BYTES);
}

void return_memory() {
    malloc_trim(0);
}

} // namespace odoo_bus
