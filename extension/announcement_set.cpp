// announcement_set.cpp: what a transaction is to announce by NOTIFY, each once, in order of insertion.
//
// The index is an open-addressing hash table of positions in the array of entries. Entries are removed in
// reverse order of insertion, so that clearing a slot never breaks another entry's probe sequence.
#include "announcement_set.h"

#include "common/siphash.h"

namespace odoo_bus {

namespace {

// Announcements are chosen by senders, and the worker merges those of all databases: with a key that they do
// not know, none can choose announcements that collide.
SipHashKey hash_key;
bool hash_key_is_drawn = false;

uint32 hash_of(std::string_view announcement) {
    if (!hash_key_is_drawn && !pg_strong_random(&hash_key, sizeof(hash_key)))
        ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not generate random values"),
                        errhint("The system's source of random numbers cannot be read.")));
    hash_key_is_drawn = true;
    return static_cast<uint32>(siphash(hash_key, announcement));
}

// Async_Notify() copies both texts, which end at their NULs.
void notify_one(std::string_view announcement) {
    char text[max_announcement_length + 1];
    memcpy(text, announcement.data(), announcement.size());
    text[announcement.size()] = '\0';
    Async_Notify(text, text + strlen(text) + 1);
}

void* resize(void* memory, std::size_t size) {
    return memory ? repalloc_huge(memory, size) : MemoryContextAllocHuge(TopTransactionContext, size);
}

} // namespace

void AnnouncementSet::index_entry(uint32 position) {
    uint32 slot = entries[position].hash & slot_mask();
    while (slots[slot] != 0)
        slot = (slot + 1) & slot_mask();
    slots[slot] = position + 1;
}

bool AnnouncementSet::contains(std::string_view announcement, uint32 hash) const {
    if (count == 0)
        return false;
    for (uint32 slot = hash & slot_mask(); slots[slot] != 0; slot = (slot + 1) & slot_mask()) {
        const uint32 position = slots[slot] - 1;
        if (entries[position].hash == hash && (*this)[position] == announcement)
            return true;
    }
    return false;
}

void AnnouncementSet::make_room(std::size_t text_length) {
    if (texts_used + text_length > texts_room) {
        const std::size_t room = std::max<std::size_t>(texts_room * 2, texts_used + text_length + 1024);
        texts = static_cast<char*>(resize(texts, room));
        texts_room = room;
    }
    if (count == entries_room) {
        const uint32 room = entries_room ? entries_room * 2 : 16;
        uint32* new_slots = static_cast<uint32*>(MemoryContextAllocExtended(
            TopTransactionContext, room * 2 * sizeof(uint32), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO));
        entries = static_cast<Entry*>(resize(entries, room * sizeof(Entry)));
        if (slots)
            pfree(slots);
        slots = new_slots;
        entries_room = room;
        for (uint32 position = 0; position < count; ++position)
            index_entry(position);
    }
}

void AnnouncementSet::add(std::string_view announcement, int level) {
    const uint32 hash = hash_of(announcement);
    if (contains(announcement, hash))
        return;
    make_room(announcement.size());
    memcpy(texts + texts_used, announcement.data(), announcement.size());
    entries[count] = {texts_used, static_cast<uint32>(announcement.size()), hash, level};
    texts_used += announcement.size();
    index_entry(count);
    ++count;
}

uint32 AnnouncementSet::first_of_level(int level) const {
    uint32 first = count;
    while (first > 0 && entries[first - 1].level >= level)
        --first;
    return first;
}

void AnnouncementSet::drop_level(int level) {
    const uint32 first = first_of_level(level);
    while (count > first) {
        const Entry& entry = entries[count - 1];
        uint32 slot = entry.hash & slot_mask();
        while (slots[slot] != count)
            slot = (slot + 1) & slot_mask();
        slots[slot] = 0;
        texts_used = entry.offset;
        --count;
    }
}

void AnnouncementSet::merge_level(int level) {
    for (uint32 position = first_of_level(level); position < count; ++position)
        entries[position].level = level - 1;
}

uint32 notify_all(const AnnouncementSet& announcements) {
    char payload[max_notify_payload + 1];
    std::size_t length = 0;
    uint32 notifies = 0;
    const auto flush = [&] {
        payload[length] = ']';
        payload[length + 1] = '\0';
        Async_Notify(imbus, payload);
        length = 0;
        ++notifies;
    };
    for (uint32 position = 0; position < announcements.size(); ++position) {
        const std::string_view announcement = announcements[position];
        if (announcement.find('\0') != announcement.npos) {
            notify_one(announcement);
            ++notifies;
            continue;
        }
        // One byte before the channel and one for the closing bracket.
        if (length > 0 && length + 1 + announcement.size() + 1 > max_notify_payload)
            flush();
        payload[length] = length == 0 ? '[' : ',';
        memcpy(payload + length + 1, announcement.data(), announcement.size());
        length += 1 + announcement.size();
    }
    if (length > 0)
        flush();
    return notifies;
}

} // namespace odoo_bus
