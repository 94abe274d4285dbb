// The bytes of an entry: version, seal, and what is sealed.
#include "engine/entry.h"

#include <tuple>
#include <utility>

#include "protocol/database_event_bytes.h"

namespace odoo_bus {

namespace {

// Change it with every event (protocol/database_event.h).
constexpr uint8_t VERSION = 1;

constexpr size_t MAX_DATABASE = 63; // as PostgreSQL's names
constexpr size_t MAX_SEAL = 64;

struct Sealed {
    EntryId id = {};
    EntryId previous = {};
    std::string database = {};
    Position first = 0;
    EntryEvent event = {};
};

// Not told how much of it is right.
bool is_same(std::string_view one, std::string_view other) {
    unsigned char differs = one.size() != other.size();
    for (size_t i = 0; i < std::min(one.size(), other.size()); ++i)
        differs |= static_cast<unsigned char>(one[i] ^ other[i]);
    return differs == 0;
}

// When it was dispatched is no part of an entry: whoever appends it again writes the same bytes.
void set_dispatched(EntryEvent& event, Monotonic at) {
    auto* const of_database = std::get_if<DatabaseEvent>(&event);
    auto* const publish = of_database ? std::get_if<event::Publish>(of_database) : nullptr;
    if (!publish || !publish->batch)
        return;
    auto batch = std::make_shared<Batch>(*publish->batch);
    for (Notification& notification : *batch)
        notification.dispatched = at;
    publish->batch = std::move(batch);
}

// What it publishes is where it says, and belongs to a database.
bool is_sound(const Entry& entry) {
    const BatchPtr& batch = entry.batch();
    const bool is_of_database = std::holds_alternative<DatabaseEvent>(entry.event) ||
                                std::holds_alternative<LedgerChange>(entry.event);
    const auto* const begin = entry.get_if<event::Begin>();
    return entry.previous < entry.id && entry.id.seq == entry.previous.seq + 1 &&
           entry.database.size() <= MAX_DATABASE && entry.database.empty() != is_of_database &&
           entry.first == (batch ? batch->front().position : 0) && !(begin && !begin->kept.empty());
}

} // namespace

template <>
inline constexpr auto FIELDS<entry::Barrier> = std::tuple(&entry::Barrier::leader);
template <>
inline constexpr auto FIELDS<entry::Heartbeat> = std::tuple();
template <>
inline constexpr auto FIELDS<Sealed> = std::tuple(&Sealed::id, &Sealed::previous, &Sealed::database,
                                                  &Sealed::first, &Sealed::event);

const BatchPtr& Entry::batch() const {
    static const BatchPtr none;
    const auto* const publish = get_if<event::Publish>();
    return publish ? publish->batch : none;
}

size_t Entry::bytes() const {
    size_t bytes = sizeof *this + database.size();
    if (batch())
        for (const Notification& notification : *batch())
            bytes += notification.bytes();
    if (const auto* const change = std::get_if<LedgerChange>(&event))
        bytes += change->now.gaps.bytes() + change->now.ahead.bytes() + change->closed.bytes() +
                 change->passed.bytes();
    return bytes;
}

std::optional<std::string> encode_entry(const Entry& entry, const Seal& seal) {
    Sealed what{entry.id, entry.previous, entry.database, entry.first, entry.event};
    set_dispatched(what.event, {});
    std::string sealed, bytes;
    write_bytes(sealed, what);
    write_bytes(bytes, VERSION);
    write_bytes(bytes, seal ? seal(sealed) : std::string());
    bytes += sealed;
    if (bytes.size() > MAX_ENTRY_BYTES || !is_sound(entry))
        return std::nullopt;
    return bytes;
}

std::optional<Entry> decode_entry(EntryId id, std::string_view bytes, const Seal& seal, Monotonic now) {
    if (bytes.size() > MAX_ENTRY_BYTES)
        return std::nullopt;
    ByteReader from(bytes);
    uint8_t version = 0;
    uint64_t seal_size = 0;
    from.read(version);
    from.read(seal_size);
    if (version != VERSION || seal_size > MAX_SEAL)
        return std::nullopt;
    const std::string_view found = from.take(seal_size);
    if (from.is_damaged())
        return std::nullopt;
    const std::string_view sealed = bytes.substr(sizeof version + sizeof seal_size + seal_size);
    // Before anything of it is read.
    if (seal ? !is_same(found, seal(sealed)) : !found.empty())
        return std::nullopt;
    auto what = read_bytes<Sealed>(sealed);
    if (!what || what->id != id)
        return std::nullopt;
    Entry entry{id, what->previous, std::move(what->database), what->first, std::move(what->event)};
    if (!is_sound(entry))
        return std::nullopt;
    set_dispatched(entry.event, now);
    return entry;
}

} // namespace odoo_bus
