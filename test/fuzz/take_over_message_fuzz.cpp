// Whatever comes from another process that takes over, and in whatever pieces.
//
// Sources: gateway/take_over/message.cpp gateway/ledger/checkpoint.cpp gateway/ledger/id_set.cpp
#include "take_over/message.h"

#include <cassert>
#include <cstdint>
#include <string>

#include "ledger/checkpoint.h"

using namespace odoo_bus;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view whole(reinterpret_cast<const char*>(data), size);
    std::string_view left = whole;
    bool damaged = false;
    while (const auto message = decode(left, damaged)) {
        assert(!damaged);
        if (message->batch)
            assert(message->batch->back().position ==
                   message->batch->front().position + message->batch->size() - 1);
        // What was understood is said again as it was heard, but for flags, which are any number but 0.
        const std::string bytes = encode(*message);
        std::string_view again(bytes);
        const auto same = decode(again, damaged);
        assert(same && again.empty() && encode(*same) == bytes);
        for (const std::string& text : message->texts)
            if (const auto ledger = decode_ledger(text))
                assert(decode_ledger(encode_ledger(*ledger)) == ledger);
    }
    // It is the same in two pieces.
    std::string_view first = whole.substr(0, size / 2);
    bool first_damaged = false;
    while (decode(first, first_damaged)) {
    }
    assert(!first_damaged || damaged);
    return 0;
}
