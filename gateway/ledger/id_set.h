// A set of notification ids, compact both for long runs and for ids that alternate.
//
// Ids are grouped in chunks of 4096. A chunk that is complete belongs to a range of chunks, any other is a
// bitmap: a run of a thousand million ids costs one range, every second id of ten million about 1.5 MB.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/id.h"

namespace odoo_bus {

// Both ends belong to the range.
struct IdRange {
    Id first;
    Id last;
    bool operator==(const IdRange&) const = default;
};

class IdSet {
public:
    bool empty() const { return size_ == 0; }
    uint64_t size() const { return size_; }
    bool contains(Id id) const;
    void add(IdRange range);
    void add(Id id) { add({id, id}); }
    void remove(IdRange range);
    void remove(Id id) { remove({id, id}); }
    void merge(const IdSet& other);
    void remove_all(const IdSet& other);

    Id max() const; // of a set that is not empty

    // The runs of neighbouring ids at or above `from`, ascending, at most `limit` of them.
    std::vector<IdRange> runs(Id from, size_t limit) const;

    // Approximate memory, in bytes.
    size_t bytes() const;

    std::string serialize() const;
    // False, and an empty set, when the bytes are not what serialize() wrote.
    bool deserialize(std::string_view bytes);

    bool operator==(const IdSet&) const = default;

private:
    static constexpr int CHUNK_BITS = 12;
    static constexpr Id CHUNK_IDS = Id{1} << CHUNK_BITS;
    using Chunk = Id; // id >> CHUNK_BITS
    using Bitmap = std::array<uint64_t, CHUNK_IDS / 64>;

    bool is_complete(Chunk chunk) const;
    void add_chunks(Chunk first, Chunk last);
    void remove_chunks(Chunk first, Chunk last);
    void add_bits(Chunk chunk, int first, int last);
    void remove_bits(Chunk chunk, int first, int last);

    std::map<Chunk, Chunk> complete_; // first -> last chunk of a range; disjoint and not adjacent
    std::map<Chunk, Bitmap> partial_; // neither empty nor complete
    uint64_t size_ = 0;
};

} // namespace odoo_bus
