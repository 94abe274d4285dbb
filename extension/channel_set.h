// channel_set.h: distinct channels in order of insertion, and the NOTIFYs that announce them.
#pragma once

#include "pg.h"

namespace odoo_bus {

// The last channels that were added can be removed. All memory belongs to the transaction in which the set is
// used: begin the next transaction with ChannelSet{}. An out-of-memory error leaves the set consistent.
class ChannelSet {
public:
    // Adds the channel at a nesting level of subtransactions, unless the set contains it.
    void add(std::string_view channel, int level = 1);

    // Drops the channels of this and deeper levels, or moves them to the level above.
    void drop_level(int level);
    void merge_level(int level);

    uint32 size() const { return count; }
    bool empty() const { return count == 0; }
    std::string_view operator[](uint32 position) const {
        return {texts + entries[position].offset, entries[position].length};
    }
    std::size_t text_bytes() const { return texts_used; }

private:
    struct Entry {
        std::size_t offset; // of the channel in texts
        uint32 length;
        uint32 hash;
        int level;
    };

    uint32 slot_mask() const { return entries_room * 2 - 1; }
    bool contains(std::string_view channel, uint32 hash) const;
    void index_entry(uint32 position);
    void make_room(std::size_t text_length);
    uint32 first_of_level(int level) const;

    char* texts = nullptr;
    std::size_t texts_used = 0, texts_room = 0;
    Entry* entries = nullptr;
    uint32 count = 0, entries_room = 0;
    uint32* slots = nullptr; // position + 1, 0 is free; twice the room of the entries, a power of two
};

// Issues NOTIFY imbus, '[["mydb","broadcast"],...]' for the commit of the transaction, with as many channels
// in each payload as fit. Returns the number of NOTIFYs.
uint32 notify_channels(const ChannelSet& channels);

} // namespace odoo_bus
