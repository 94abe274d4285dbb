// announcement_set.h: what a transaction is to announce by NOTIFY, each once, in order of insertion.
#pragma once

#include "channel.h"

namespace odoo_bus {

// The channel of the NOTIFYs on which Odoo servers listen.
constexpr const char* imbus = "imbus";

// An announcement is either a channel of the bus as it is stored, to be named by a NOTIFY imbus together with
// others, or a NOTIFY of its own: its channel, NUL and its payload.
constexpr std::size_t max_notify_channel = NAMEDATALEN - 1;
constexpr std::size_t max_announcement_length = max_notify_channel + 1 + max_notify_payload;

// The last announcements that were added can be removed. All memory belongs to the transaction in which the
// set is used: begin the next transaction with AnnouncementSet{}. An out-of-memory error leaves the set
// consistent.
class AnnouncementSet {
public:
    // Adds an announcement at a nesting level of subtransactions, unless the set contains it.
    void add(std::string_view announcement, int level = 1);

    // Drops the announcements of this and deeper levels, or moves them to the level above.
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
        std::size_t offset; // of the announcement in texts
        uint32 length;
        uint32 hash;
        int level;
    };

    uint32 slot_mask() const { return entries_room * 2 - 1; }
    bool contains(std::string_view announcement, uint32 hash) const;
    void index_entry(uint32 position);
    void make_room(std::size_t text_length);
    uint32 first_of_level(int level) const;

    char* texts = nullptr;
    std::size_t texts_used = 0, texts_room = 0;
    Entry* entries = nullptr;
    uint32 count = 0, entries_room = 0;
    uint32* slots = nullptr; // position + 1, 0 is free; twice the room of the entries, a power of two
};

// Issues the NOTIFYs for the commit of the transaction: NOTIFY imbus, '[["mydb","broadcast"],...]' with as
// many channels of the bus in each payload as fit, and the others as they are. Returns their number.
uint32 notify_all(const AnnouncementSet& announcements);

} // namespace odoo_bus
