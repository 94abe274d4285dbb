// The limit of open files, whose soft limit is usually far too low.
#pragma once

#include <cstdint>

namespace odoo_bus {

// Raises the soft limit to what this number of connections needs, as far as the hard limit lets it, and warns
// when that is not enough. It is not raised further than needed, nor lowered: Debian's libwebsockets 4.1
// looks through a table of that size at the begin and the end of every connection. That table is made with
// the first service, so call this before it, and once: a descriptor beyond the table is closed silently.
void fit_descriptor_limit(uint64_t connections);

// Descriptors that this many connections need, with all others that are open.
uint64_t descriptors_needed(uint64_t connections);

} // namespace odoo_bus
