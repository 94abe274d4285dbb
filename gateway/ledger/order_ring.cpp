// The ring of dispatched ids: see order_ring.h.
#include "ledger/order_ring.h"

#include <atomic>
#include <cstring>

#include "base/fingerprint.h"

namespace odoo_bus {

namespace {

constexpr char MAGIC[8] = {'b', 'u', 's', 'o', 'r', 'd', 'e', 'r'};
constexpr uint32_t FORMAT = 1;

// A counter as it stands in the file. One changed byte never leaves a multiple of a prime, and zero is none.
constexpr uint64_t PRIME = 65521;

constexpr uint64_t guard(Position position) {
    return position * PRIME + 1;
}

bool unguard(uint64_t word, Position& position) {
    position = word / PRIME;
    return word % PRIME == 1;
}

constexpr uint64_t AHEAD = uint64_t{1} << 63; // ids are never negative

} // namespace

struct OrderRing::Header {
    char magic[8];
    uint32_t format;
    uint32_t slot_bytes;
    uint64_t file_id;
    uint64_t capacity;
    uint64_t checksum; // of what stands before it
    uint64_t first;    // guarded
    uint64_t next;     // guarded
};

struct OrderRing::Slot {
    uint64_t id;
    uint64_t fingerprint;
    int64_t dispatched_us;
    uint64_t checksum;
};

namespace {

constexpr size_t SLOTS_AT = 4096;

} // namespace

size_t OrderRing::bytes(size_t capacity) {
    return SLOTS_AT + capacity * sizeof(Slot);
}

OrderRing::OrderRing(char* memory, size_t capacity, uint64_t file_id)
    : header_(reinterpret_cast<Header*>(memory)), slots_(reinterpret_cast<Slot*>(memory + SLOTS_AT)),
      capacity_(capacity), file_id_(file_id) {}

OrderRing OrderRing::format(std::span<char> memory, size_t capacity, uint64_t file_id, Position next) {
    OrderRing ring(memory.data(), capacity, file_id);
    Header& header = *ring.header_;
    header = {.magic = {},
              .format = FORMAT,
              .slot_bytes = sizeof(Slot),
              .file_id = file_id,
              .capacity = capacity,
              .checksum = 0,
              .first = 0,
              .next = 0};
    memcpy(header.magic, MAGIC, sizeof MAGIC);
    header.checksum = odoo_bus::fingerprint({memory.data(), offsetof(Header, checksum)});
    ring.clear(next);
    return ring;
}

std::optional<OrderRing> OrderRing::open(std::span<char> memory, std::string& why) {
    Header header;
    if (memory.size() < SLOTS_AT) {
        why = "it is too short";
        return std::nullopt;
    }
    memcpy(&header, memory.data(), sizeof header);
    if (memcmp(header.magic, MAGIC, sizeof MAGIC) != 0) {
        why = "it is not a file of this program";
        return std::nullopt;
    }
    if (header.format != FORMAT || header.slot_bytes != sizeof(Slot)) {
        why = "it has the format of another version";
        return std::nullopt;
    }
    if (header.checksum != odoo_bus::fingerprint({memory.data(), offsetof(Header, checksum)}) ||
        header.capacity == 0 || header.capacity > MAX_CAPACITY) {
        why = "its header is damaged";
        return std::nullopt;
    }
    if (memory.size() != bytes(header.capacity)) {
        why = "its length is wrong";
        return std::nullopt;
    }
    OrderRing ring(memory.data(), header.capacity, header.file_id);
    if (!unguard(header.first, ring.first_) || !unguard(header.next, ring.next_) || ring.first_ == 0 ||
        ring.first_ > ring.next_ || ring.next_ - ring.first_ > ring.capacity_) {
        why = "its counters are damaged";
        return std::nullopt;
    }
    return ring;
}

OrderRing::Slot& OrderRing::slot(Position position) const {
    return slots_[position % capacity_];
}

uint64_t OrderRing::checksum(const Slot& slot, Position position) const {
    return odoo_bus::fingerprint({reinterpret_cast<const char*>(&slot), offsetof(Slot, checksum)},
                                 file_id_ + position);
}

std::optional<std::vector<Dispatched>> OrderRing::entries() const {
    std::vector<Dispatched> entries;
    entries.reserve(next_ - first_);
    for (Position position = first_; position < next_; ++position) {
        const Slot& entry = slot(position);
        if (entry.checksum != checksum(entry, position))
            return std::nullopt;
        entries.push_back({.id = static_cast<Id>(entry.id & ~AHEAD),
                           .fingerprint = entry.fingerprint,
                           .dispatched = wall_time(entry.dispatched_us),
                           .ahead = (entry.id & AHEAD) != 0});
    }
    return entries;
}

// The compiler moves no store across an atomic_signal_fence. Nothing more is needed: no other process reads
// while this one runs, and when it is killed the memory holds what it had stored, in that order.

void OrderRing::publish_first(Position first) {
    first_ = first;
    std::atomic_ref(header_->first).store(guard(first), std::memory_order_relaxed);
    std::atomic_signal_fence(std::memory_order_seq_cst);
}

void OrderRing::publish_next(Position next) {
    next_ = next;
    std::atomic_signal_fence(std::memory_order_seq_cst);
    std::atomic_ref(header_->next).store(guard(next), std::memory_order_relaxed);
}

void OrderRing::append(std::span<const Dispatched> batch) {
    const Position next = next_ + batch.size();
    Position position = next_;
    if (batch.size() > capacity_) {
        position += batch.size() - capacity_;
        batch = batch.last(capacity_);
    }
    if (next - first_ > capacity_)
        publish_first(next - capacity_);
    for (const Dispatched& entry : batch) {
        Slot& place = slot(position);
        place.id = static_cast<uint64_t>(entry.id) | (entry.ahead ? AHEAD : 0);
        place.fingerprint = entry.fingerprint;
        place.dispatched_us = microseconds(entry.dispatched);
        place.checksum = checksum(place, position);
        ++position;
    }
    publish_next(next);
}

void OrderRing::clear(Position next) {
    publish_first(next);
    publish_next(next);
}

} // namespace odoo_bus
