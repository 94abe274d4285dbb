// The newest dispatched ids in a piece of memory that outlives the process: a ring with room for `capacity`
// entries.
//
// Whenever the writer is killed, the entries first()..next()-1 are whole: the oldest are given up before
// their places are written again, and the new ones count only when all of them are written. Every entry has
// a checksum that binds it to its position and its file, the two counters are multiples that no changed
// byte yields, so that damage is found, not read.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ledger/dispatched.h"

namespace odoo_bus {

class OrderRing {
public:
    static constexpr size_t MAX_CAPACITY = size_t{1} << 32;

    static size_t bytes(size_t capacity);

    // Makes an empty ring of `memory`, which has bytes(capacity).
    static OrderRing format(std::span<char> memory, size_t capacity, uint64_t file_id, Position next);

    // The ring that format() made of `memory`; nothing, and why, when it is something else.
    static std::optional<OrderRing> open(std::span<char> memory, std::string& why);

    uint64_t file_id() const { return file_id_; }
    size_t capacity() const { return capacity_; }
    Position first() const { return first_; }
    Position next() const { return next_; }

    // The entries first()..next()-1; nothing when one of them is damaged.
    std::optional<std::vector<Dispatched>> entries() const;

    // Appends at next().
    void append(std::span<const Dispatched> batch);

    void clear(Position next);

private:
    struct Header;
    struct Slot;

    OrderRing(char* memory, size_t capacity, uint64_t file_id);
    Slot& slot(Position position) const;
    uint64_t checksum(const Slot& slot, Position position) const;
    void publish_first(Position first);
    void publish_next(Position next);

    Header* header_;
    Slot* slots_;
    size_t capacity_;
    uint64_t file_id_;
    Position first_ = 1;
    Position next_ = 1;
};

} // namespace odoo_bus
