// Whatever stands in the files of the state directory, with checksums that are right.
#include "ledger/checkpoint.h"
#include "ledger/order_ring.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

#include "base/fingerprint.h"

using namespace odoo_bus;

namespace {

// A sum after what it is of, as both files have one.
void put_right(std::string& bytes, size_t summed) {
    if (bytes.size() < summed + sizeof(uint64_t))
        return;
    const uint64_t sum = fingerprint({bytes.data(), summed});
    memcpy(bytes.data() + summed, &sum, sizeof sum);
}

void read_ledger(std::string bytes) {
    constexpr size_t FILE_ID_AT = 16;
    uint64_t file_id = 0;
    if (bytes.size() >= FILE_ID_AT + sizeof file_id)
        memcpy(&file_id, bytes.data() + FILE_ID_AT, sizeof file_id);
    if (bytes.size() >= sizeof(uint64_t))
        put_right(bytes, bytes.size() - sizeof(uint64_t));
    std::string why;
    auto checkpoint = decode_checkpoint(bytes, file_id, why);
    assert(checkpoint.has_value() == why.empty());
    if (!checkpoint)
        return;
    assert(decode_checkpoint(encode_checkpoint(*checkpoint, file_id), file_id, why) == checkpoint);
    const Id next = checkpoint->max_seen < INT64_MAX - 10 ? checkpoint->max_seen + 10 : 1;
    checkpoint->advance(std::array{Dispatched{.id = next, .fingerprint = 1, .dispatched = wall_time(1)},
                                   Dispatched{.id = next - 1, .fingerprint = 1, .dispatched = wall_time(1)}});
    assert(checkpoint->max_seen >= next && !checkpoint->gaps.contains(next));
}

void read_order(std::string bytes) {
    constexpr size_t HEADER = 32;
    put_right(bytes, HEADER);
    std::string why;
    auto ring = OrderRing::open(bytes, why);
    assert(ring.has_value() == why.empty());
    if (!ring)
        return;
    if (const auto entries = ring->entries())
        assert(entries->size() == ring->next() - ring->first());
    const Dispatched added{.id = 5, .fingerprint = 6, .dispatched = wall_time(7)};
    ring->append(std::array{added, added});
    ring->clear(9);
    ring->append(std::array{added});
    assert(ring->entries() == std::vector{added});
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    std::string bytes(reinterpret_cast<const char*>(data), size);
    read_ledger(bytes);
    bytes.resize(std::max<size_t>(size, 4096 + 4 * 32)); // an order of four entries
    read_order(std::move(bytes));
    return 0;
}
