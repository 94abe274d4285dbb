// channel_set.cpp: distinct channels in order of insertion, and the NOTIFYs that announce them.
//
// The index is an open-addressing hash table of positions in the array of entries. Entries are removed in
// reverse order of insertion, so that clearing a slot never breaks another entry's probe sequence.
#include "channel_set.h"

#include "channel.h"
#include "common/siphash.h"

namespace odoo_bus {

namespace {

// Channels are chosen by senders, and the worker merges those of all databases: with a key that they do not
// know, none can choose channels that collide.
SipHashKey hash_key;
bool hash_key_is_drawn = false;

uint32 hash_channel(std::string_view channel) {
    if (!hash_key_is_drawn && !pg_strong_random(&hash_key, sizeof(hash_key)))
        ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not generate random values"),
                        errhint("The system's source of random numbers cannot be read.")));
    hash_key_is_drawn = true;
    return static_cast<uint32>(siphash(hash_key, channel));
}

void* resize(void* memory, std::size_t size) {
    return memory ? repalloc_huge(memory, size) : MemoryContextAllocHuge(TopTransactionContext, size);
}

} // namespace

void ChannelSet::index_entry(uint32 position) {
    uint32 slot = entries[position].hash & slot_mask();
    while (slots[slot] != 0)
        slot = (slot + 1) & slot_mask();
    slots[slot] = position + 1;
}

bool ChannelSet::contains(std::string_view channel, uint32 hash) const {
    if (count == 0)
        return false;
    for (uint32 slot = hash & slot_mask(); slots[slot] != 0; slot = (slot + 1) & slot_mask()) {
        const uint32 position = slots[slot] - 1;
        if (entries[position].hash == hash && (*this)[position] == channel)
            return true;
    }
    return false;
}

void ChannelSet::make_room(std::size_t text_length) {
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

void ChannelSet::add(std::string_view channel, int level) {
    const uint32 hash = hash_channel(channel);
    if (contains(channel, hash))
        return;
    make_room(channel.size());
    memcpy(texts + texts_used, channel.data(), channel.size());
    entries[count] = {texts_used, static_cast<uint32>(channel.size()), hash, level};
    texts_used += channel.size();
    index_entry(count);
    ++count;
}

uint32 ChannelSet::first_of_level(int level) const {
    uint32 first = count;
    while (first > 0 && entries[first - 1].level >= level)
        --first;
    return first;
}

void ChannelSet::drop_level(int level) {
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

void ChannelSet::merge_level(int level) {
    for (uint32 position = first_of_level(level); position < count; ++position)
        entries[position].level = level - 1;
}

uint32 notify_channels(const ChannelSet& channels) {
    char payload[max_notify_payload + 1];
    std::size_t length = 0;
    uint32 notifies = 0;
    const auto flush = [&] {
        payload[length] = ']';
        payload[length + 1] = '\0';
        Async_Notify("imbus", payload);
        length = 0;
        ++notifies;
    };
    for (uint32 position = 0; position < channels.size(); ++position) {
        const std::string_view channel = channels[position];
        // One byte before the channel and one for the closing bracket.
        if (length > 0 && length + 1 + channel.size() + 1 > max_notify_payload)
            flush();
        payload[length] = length == 0 ? '[' : ',';
        memcpy(payload + length + 1, channel.data(), channel.size());
        length += 1 + channel.size();
    }
    if (length > 0)
        flush();
    return notifies;
}

} // namespace odoo_bus
