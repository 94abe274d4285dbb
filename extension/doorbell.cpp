// doorbell.cpp: the channels that a transaction has sent to, announced once when it commits.
//
// Channels are kept in the order in which they were first sent to. What a savepoint added stands at the end,
// so a rollback to it cuts the list there. The index is an open-addressing table of positions in that list;
// since entries leave in the reverse of the order in which they came, clearing a slot never breaks another
// entry's probe sequence.
#include "doorbell.h"

#include "channel.h"

namespace odoo_bus {

bool notify_enabled;

namespace {

struct Entry {
    std::size_t offset; // of the channel in texts
    uint32 length;
    uint32 hash;
    int level; // nesting level of the subtransaction that it belongs to
};

// All of it lives in the transaction's memory context and ends with the transaction.
struct SentChannels {
    char* texts;
    std::size_t texts_used, texts_room;
    Entry* entries;
    uint32 count, entries_room;
    uint32* slots; // position + 1, 0 is free; twice the room of the entries, a power of two
};

SentChannels sent;

std::string_view channel_of(const Entry& entry) {
    return {sent.texts + entry.offset, entry.length};
}

uint32 slot_mask() {
    return sent.entries_room * 2 - 1;
}

void index_entry(uint32 position) {
    uint32 slot = sent.entries[position].hash & slot_mask();
    while (sent.slots[slot] != 0)
        slot = (slot + 1) & slot_mask();
    sent.slots[slot] = position + 1;
}

bool is_known(std::string_view channel, uint32 hash) {
    if (sent.count == 0)
        return false;
    for (uint32 slot = hash & slot_mask(); sent.slots[slot] != 0; slot = (slot + 1) & slot_mask()) {
        const Entry& entry = sent.entries[sent.slots[slot] - 1];
        if (entry.hash == hash && channel_of(entry) == channel)
            return true;
    }
    return false;
}

void* resize(void* memory, std::size_t size) {
    return memory ? repalloc_huge(memory, size) : MemoryContextAllocHuge(TopTransactionContext, size);
}

// Each step leaves a consistent state behind when the next one fails for lack of memory.
void make_room(std::size_t text_length) {
    if (sent.texts_used + text_length > sent.texts_room) {
        const std::size_t room =
            std::max<std::size_t>(sent.texts_room * 2, sent.texts_used + text_length + 1024);
        sent.texts = static_cast<char*>(resize(sent.texts, room));
        sent.texts_room = room;
    }
    if (sent.count == sent.entries_room) {
        const uint32 room = sent.entries_room ? sent.entries_room * 2 : 16;
        uint32* slots = static_cast<uint32*>(MemoryContextAllocExtended(
            TopTransactionContext, room * 2 * sizeof(uint32), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO));
        sent.entries = static_cast<Entry*>(resize(sent.entries, room * sizeof(Entry)));
        if (sent.slots)
            pfree(sent.slots);
        sent.slots = slots;
        sent.entries_room = room;
        for (uint32 position = 0; position < sent.count; ++position)
            index_entry(position);
    }
}

void forget_from(uint32 position) {
    while (sent.count > position) {
        const Entry& entry = sent.entries[sent.count - 1];
        uint32 slot = entry.hash & slot_mask();
        while (sent.slots[slot] != sent.count)
            slot = (slot + 1) & slot_mask();
        sent.slots[slot] = 0;
        sent.texts_used = entry.offset;
        --sent.count;
    }
}

void forget_all() {
    sent = SentChannels{};
}

// NOTIFY imbus, '[["mydb","broadcast"],...]': as many channels in each as go into it.
void notify_all() {
    char payload[max_notify_payload + 1];
    std::size_t length = 0;
    const auto flush = [&payload, &length] {
        payload[length] = ']';
        payload[length + 1] = '\0';
        Async_Notify("imbus", payload);
        length = 0;
    };
    for (const Entry& entry : std::span(sent.entries, sent.count)) {
        // One byte before the channel and one for the closing bracket.
        if (length > 0 && length + 1 + entry.length + 1 > max_notify_payload)
            flush();
        payload[length] = length == 0 ? '[' : ',';
        memcpy(payload + length + 1, sent.texts + entry.offset, entry.length);
        length += 1 + entry.length;
    }
    flush();
}

void on_transaction_event(XactEvent event, void*) {
    switch (event) {
    case XACT_EVENT_PRE_COMMIT:
        if (sent.count > 0)
            notify_all();
        break;
    case XACT_EVENT_PRE_PREPARE:
        if (sent.count > 0)
            ereport(
                ERROR,
                (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                 errmsg("cannot PREPARE a transaction that has sent notifications by odoo_bus"),
                 errhint("Commit without two phases, or send the notifications in a transaction of their own "
                         "after COMMIT PREPARED.")));
        break;
    case XACT_EVENT_COMMIT:
    case XACT_EVENT_ABORT:
    case XACT_EVENT_PREPARE:
        forget_all();
        break;
    default:
        break;
    }
}

void on_subtransaction_event(SubXactEvent event, SubTransactionId, SubTransactionId, void*) {
    if (sent.count == 0)
        return;
    const int level = GetCurrentTransactionNestLevel();
    uint32 first = sent.count;
    while (first > 0 && sent.entries[first - 1].level >= level)
        --first;
    if (event == SUBXACT_EVENT_ABORT_SUB)
        forget_from(first);
    else if (event == SUBXACT_EVENT_COMMIT_SUB)
        for (Entry& entry : std::span(sent.entries + first, sent.count - first))
            entry.level = level - 1;
}

} // namespace

void ring_at_commit(const text* channel) {
    if (!notify_enabled)
        return;
    const std::string_view value = text_view(channel);
    const uint32 hash =
        hash_bytes(reinterpret_cast<const unsigned char*>(value.data()), static_cast<int>(value.size()));
    if (is_known(value, hash))
        return;
    make_room(value.size());
    memcpy(sent.texts + sent.texts_used, value.data(), value.size());
    sent.entries[sent.count] = {sent.texts_used, static_cast<uint32>(value.size()), hash,
                                GetCurrentTransactionNestLevel()};
    sent.texts_used += value.size();
    index_entry(sent.count);
    ++sent.count;
}

void register_doorbell_callbacks() {
    RegisterXactCallback(on_transaction_event, nullptr);
    RegisterSubXactCallback(on_subtransaction_event, nullptr);
}

} // namespace odoo_bus
