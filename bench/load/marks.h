// The mark in every message that is sent for a benchmark, and what a connection's marks prove.
//
//   #00000042.0000001234@1764000000123456#
//    channel  sequence   microseconds since 1970
//
// A channel's sequence counts up by one, so a connection that receives it knows what it has missed and what
// came twice. The client finds marks in the raw bytes that a server sends, whatever its protocol frames them
// in.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace bench {

struct Mark {
    static constexpr size_t LENGTH = 38;
    uint32_t channel;
    uint64_t sequence;
    int64_t sent_us;
};

// Reads marks out of a stream that comes in pieces.
class MarkReader {
public:
    // Calls `found` with each mark that ends in `bytes`.
    template <class Found>
    void feed(std::string_view bytes, Found found) {
        if (kept_ > 0)
            bytes = join(bytes, found);
        while (true) {
            const size_t begin = bytes.find('#');
            if (begin == bytes.npos)
                return;
            bytes.remove_prefix(begin);
            Mark mark;
            switch (parse(bytes, mark)) {
            case Parse::mark:
                found(mark);
                bytes.remove_prefix(Mark::LENGTH);
                break;
            case Parse::other:
                bytes.remove_prefix(1);
                break;
            case Parse::cut:
                return keep(bytes);
            }
        }
    }

private:
    enum class Parse { mark, other, cut };
    static Parse parse(std::string_view bytes, Mark& mark);

    void keep(std::string_view bytes);

    // Puts what was kept before what came; returns what is left of `bytes` to be looked at.
    template <class Found>
    std::string_view join(std::string_view bytes, Found found) {
        while (kept_ > 0 && !bytes.empty()) {
            kept_bytes_[kept_++] = bytes.front();
            bytes.remove_prefix(1);
            Mark mark;
            switch (parse({kept_bytes_.data(), kept_}, mark)) {
            case Parse::mark:
                kept_ = 0;
                found(mark);
                break;
            case Parse::other: {
                // A mark may begin inside what was no mark.
                const std::string_view all(kept_bytes_.data(), kept_);
                const size_t begin = all.find('#', 1);
                kept_ = 0;
                if (begin != all.npos)
                    keep(all.substr(begin));
                break;
            }
            case Parse::cut:
                break;
            }
        }
        return bytes;
    }

    uint8_t kept_ = 0;
    std::array<char, Mark::LENGTH> kept_bytes_;
};

// What came of one channel; its first sequence is 1.
class Sequence {
public:
    struct Verdict {
        uint64_t lost = 0;
        bool doubled = false;
    };
    Verdict receive(uint64_t sequence);
    // How many are missing, if `last` was the last one. They do not count again.
    uint64_t finish(uint64_t last);

private:
    uint64_t next_ = 1;
};

} // namespace bench
