// Whatever comes with NOTIFY imbus.
#include "protocol/notify_payload.h"

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string_view>

#include "base/utf8.h"

using namespace odoo_bus;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const auto databases = parse_notify_payload({reinterpret_cast<const char*>(data), size});
    if (!databases)
        return 0;
    for (const auto& database : *databases)
        assert(is_utf8(database));
    assert(std::set(databases->begin(), databases->end()).size() == databases->size());
    return 0;
}
