// A set of notification ids: every operation is one on whole chunks and one on the bits at either end.
#include "ledger/id_set.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace odoo_bus {

namespace {

constexpr uint64_t ALL = ~uint64_t{0};

// The bits first..last of a bitmap that fall into word `word`.
uint64_t mask(int word, int first, int last) {
    const int low = std::max(first - word * 64, 0);
    const int high = std::min(last - word * 64, 63);
    return (ALL << low) & (ALL >> (63 - high));
}

void put(std::string& bytes, Id value) {
    bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
}

bool take(std::string_view& bytes, void* to, size_t size) {
    if (bytes.size() < size)
        return false;
    memcpy(to, bytes.data(), size);
    bytes.remove_prefix(size);
    return true;
}

} // namespace

bool IdSet::is_complete(Chunk chunk) const {
    auto range = complete_.upper_bound(chunk);
    return range != complete_.begin() && std::prev(range)->second >= chunk;
}

bool IdSet::contains(Id id) const {
    const Chunk chunk = id >> CHUNK_BITS;
    if (auto it = partial_.find(chunk); it != partial_.end()) {
        const Id bit = id & (CHUNK_IDS - 1);
        return it->second[bit / 64] >> (bit % 64) & 1;
    }
    return is_complete(chunk);
}

void IdSet::add(IdRange range) {
    if (range.first > range.last)
        return;
    const Chunk first = range.first >> CHUNK_BITS, last = range.last >> CHUNK_BITS;
    const int from = range.first & (CHUNK_IDS - 1), to = range.last & (CHUNK_IDS - 1);
    if (first == last)
        return add_bits(first, from, to);
    add_bits(first, from, CHUNK_IDS - 1);
    if (first + 1 < last)
        add_chunks(first + 1, last - 1);
    add_bits(last, 0, to);
}

void IdSet::remove(IdRange range) {
    if (range.first > range.last)
        return;
    const Chunk first = range.first >> CHUNK_BITS, last = range.last >> CHUNK_BITS;
    const int from = range.first & (CHUNK_IDS - 1), to = range.last & (CHUNK_IDS - 1);
    if (first == last)
        return remove_bits(first, from, to);
    remove_bits(first, from, CHUNK_IDS - 1);
    if (first + 1 < last)
        remove_chunks(first + 1, last - 1);
    remove_bits(last, 0, to);
}

void IdSet::add_chunks(Chunk first, Chunk last) {
    remove_chunks(first, last);
    size_ += static_cast<uint64_t>(last - first + 1) * CHUNK_IDS;
    auto next = complete_.upper_bound(first);
    if (next != complete_.end() && next->first == last + 1) {
        last = next->second;
        next = complete_.erase(next);
    }
    if (next != complete_.begin() && std::prev(next)->second + 1 == first)
        std::prev(next)->second = last;
    else
        complete_.emplace(first, last);
}

void IdSet::remove_chunks(Chunk first, Chunk last) {
    for (auto it = partial_.lower_bound(first); it != partial_.end() && it->first <= last;) {
        for (uint64_t word : it->second)
            size_ -= std::popcount(word);
        it = partial_.erase(it);
    }
    auto range = complete_.upper_bound(first);
    if (range != complete_.begin())
        --range;
    while (range != complete_.end() && range->first <= last) {
        const auto [from, to] = *range;
        if (to < first) {
            ++range;
            continue;
        }
        range = complete_.erase(range);
        if (from < first)
            complete_.emplace(from, first - 1);
        if (to > last)
            complete_.emplace(last + 1, to);
        size_ -= static_cast<uint64_t>(std::min(to, last) - std::max(from, first) + 1) * CHUNK_IDS;
    }
}

void IdSet::add_bits(Chunk chunk, int first, int last) {
    if (is_complete(chunk))
        return;
    Bitmap& bitmap = partial_.try_emplace(chunk).first->second;
    for (int word = first / 64; word <= last / 64; ++word) {
        const uint64_t bits = mask(word, first, last);
        size_ += std::popcount(bits & ~bitmap[word]);
        bitmap[word] |= bits;
    }
    if (std::ranges::all_of(bitmap, [](uint64_t word) { return word == ALL; }))
        add_chunks(chunk, chunk);
}

void IdSet::remove_bits(Chunk chunk, int first, int last) {
    auto it = partial_.find(chunk);
    if (it == partial_.end()) {
        if (!is_complete(chunk))
            return;
        remove_chunks(chunk, chunk);
        it = partial_.try_emplace(chunk).first;
        it->second.fill(ALL);
        size_ += CHUNK_IDS;
    }
    for (int word = first / 64; word <= last / 64; ++word) {
        const uint64_t bits = mask(word, first, last);
        size_ -= std::popcount(bits & it->second[word]);
        it->second[word] &= ~bits;
    }
    if (std::ranges::all_of(it->second, [](uint64_t word) { return word == 0; }))
        partial_.erase(it);
}

void IdSet::merge(const IdSet& other) {
    for (const auto& [first, last] : other.complete_)
        add_chunks(first, last);
    for (const auto& [chunk, bitmap] : other.partial_) {
        if (is_complete(chunk))
            continue;
        Bitmap& mine = partial_.try_emplace(chunk).first->second;
        for (size_t word = 0; word < mine.size(); ++word) {
            size_ += std::popcount(bitmap[word] & ~mine[word]);
            mine[word] |= bitmap[word];
        }
        if (std::ranges::all_of(mine, [](uint64_t word) { return word == ALL; }))
            add_chunks(chunk, chunk);
    }
}

void IdSet::remove_all(const IdSet& other) {
    for (Id from = 0;;) {
        const std::vector<IdRange> ranges = other.runs(from, 1000);
        if (ranges.empty())
            return;
        for (const IdRange& range : ranges)
            remove(range);
        if (ranges.back().last == INT64_MAX)
            return;
        from = ranges.back().last + 1;
    }
}

Id IdSet::max() const {
    const Chunk complete = complete_.empty() ? -1 : complete_.rbegin()->second;
    const Chunk partial = partial_.empty() ? -1 : partial_.rbegin()->first;
    if (complete > partial)
        return (complete << CHUNK_BITS) + (CHUNK_IDS - 1);
    const Bitmap& bitmap = partial_.rbegin()->second;
    const auto word = std::find_if(bitmap.rbegin(), bitmap.rend(), [](uint64_t bits) { return bits != 0; });
    return (partial << CHUNK_BITS) + (bitmap.rend() - word - 1) * 64 + 63 - std::countl_zero(*word);
}

std::vector<IdRange> IdSet::runs(Id from, size_t limit) const {
    std::vector<IdRange> runs;
    auto append = [&](Id first, Id last) {
        first = std::max(first, from);
        if (first > last)
            return true;
        if (!runs.empty() && runs.back().last + 1 == first) {
            runs.back().last = last;
            return true;
        }
        if (runs.size() == limit)
            return false;
        runs.push_back({first, last});
        return true;
    };
    auto append_bitmap = [&](Chunk chunk, const Bitmap& bitmap) {
        const Id base = chunk << CHUNK_BITS;
        for (size_t word = 0; word < bitmap.size(); ++word)
            for (uint64_t bits = bitmap[word]; bits != 0;) {
                const int start = std::countr_zero(bits);
                const int length = std::countr_one(bits >> start);
                const Id first = base + static_cast<Id>(word) * 64 + start;
                if (!append(first, first + (length - 1))) // the sum alone may be more than the largest id
                    return false;
                bits = start + length == 64 ? 0 : bits & (ALL << (start + length));
            }
        return true;
    };

    auto partial = partial_.lower_bound(from >> CHUNK_BITS);
    auto range = complete_.upper_bound(from >> CHUNK_BITS);
    if (range != complete_.begin())
        --range;
    while (partial != partial_.end() || range != complete_.end()) {
        if (range == complete_.end() || (partial != partial_.end() && partial->first < range->first)) {
            if (!append_bitmap(partial->first, partial->second))
                break;
            ++partial;
        } else {
            if (!append(range->first << CHUNK_BITS, (range->second << CHUNK_BITS) + (CHUNK_IDS - 1)))
                break;
            ++range;
        }
    }
    return runs;
}

size_t IdSet::bytes() const {
    constexpr size_t NODE = 48; // of a std::map, with the allocator's share
    return complete_.size() * (NODE + 2 * sizeof(Chunk)) +
           partial_.size() * (NODE + sizeof(Chunk) + sizeof(Bitmap));
}

std::string IdSet::serialize() const {
    std::string bytes;
    bytes.reserve(2 * sizeof(Id) + complete_.size() * 2 * sizeof(Chunk) +
                  partial_.size() * (sizeof(Chunk) + sizeof(Bitmap)));
    put(bytes, static_cast<Id>(complete_.size()));
    for (const auto& [first, last] : complete_) {
        put(bytes, first);
        put(bytes, last);
    }
    put(bytes, static_cast<Id>(partial_.size()));
    for (const auto& [chunk, bitmap] : partial_) {
        put(bytes, chunk);
        bytes.append(reinterpret_cast<const char*>(bitmap.data()), sizeof bitmap);
    }
    return bytes;
}

bool IdSet::deserialize(std::string_view bytes) {
    constexpr Chunk MAX_CHUNK = INT64_MAX >> CHUNK_BITS;
    *this = {};
    auto parse = [&] {
        Id count;
        if (!take(bytes, &count, sizeof count))
            return false;
        for (Chunk previous = -2; count > 0; --count) {
            Chunk range[2];
            if (!take(bytes, range, sizeof range) || range[0] <= previous + 1 || range[0] > range[1] ||
                range[1] > MAX_CHUNK)
                return false;
            add_chunks(range[0], range[1]);
            previous = range[1];
        }
        if (count < 0 || !take(bytes, &count, sizeof count))
            return false;
        for (Chunk previous = -1; count > 0; --count) {
            Chunk chunk;
            Bitmap bitmap;
            if (!take(bytes, &chunk, sizeof chunk) || !take(bytes, bitmap.data(), sizeof bitmap))
                return false;
            uint64_t bits = 0;
            for (uint64_t word : bitmap)
                bits += std::popcount(word);
            if (chunk <= previous || chunk > MAX_CHUNK || is_complete(chunk) || bits == 0 ||
                bits == CHUNK_IDS)
                return false;
            partial_.emplace(chunk, bitmap);
            size_ += bits;
            previous = chunk;
        }
        return count == 0 && bytes.empty();
    };
    if (parse())
        return true;
    *this = {};
    return false;
}

} // namespace odoo_bus
