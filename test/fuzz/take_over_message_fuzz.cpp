// Whatever comes from another process that takes over, and in whatever pieces.
#include "take_over/message.h"

#include <cassert>
#include <cstdint>
#include <string>
#include <variant>

using namespace odoo_bus;

namespace {

BatchPtr batch_of(const TakeOverMessage& message) {
    const auto* const of_database = std::get_if<take_over::OfDatabase>(&message);
    if (!of_database)
        return nullptr;
    if (const auto* const kept = std::get_if<take_over::Kept>(&of_database->what))
        return kept->batch;
    const auto* const event = std::get_if<DatabaseEvent>(&of_database->what);
    const auto* const publish = event ? std::get_if<event::Publish>(event) : nullptr;
    return publish ? publish->batch : nullptr;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view whole(reinterpret_cast<const char*>(data), size);
    std::string_view left = whole;
    bool damaged = false;
    while (const auto message = decode(left, damaged)) {
        assert(!damaged);
        if (const BatchPtr batch = batch_of(*message))
            assert(batch->back().position == batch->front().position + batch->size() - 1);
        // What was understood is said again as it was heard, but for sets, which are heard in any order.
        const std::string bytes = encode(*message);
        std::string_view again(bytes);
        const auto same = decode(again, damaged);
        assert(same && again.empty() && encode(*same) == bytes);
    }
    // It is the same in two pieces.
    std::string_view first = whole.substr(0, size / 2);
    bool first_damaged = false;
    while (decode(first, first_damaged)) {
    }
    assert(!first_damaged || damaged);
    return 0;
}
