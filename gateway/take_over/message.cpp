// What two processes of one gateway tell each other, as bytes (base/bytes.h).
#include "take_over/message.h"

#include <tuple>

#include "protocol/database_event_bytes.h"

namespace odoo_bus {

namespace {

// More than any message has: a batch is one read of the table.
constexpr uint64_t MAX_BYTES = uint64_t{4} << 30;

// Says that a ledger belongs to no file.
constexpr uint64_t NO_FILE = 0;

} // namespace

// As in a state file.
template <>
struct Coding<Checkpoint> {
    static void write(std::string& to, const Checkpoint& ledger) {
        write_bytes(to, encode_checkpoint(ledger, NO_FILE));
    }
    static void read(ByteReader& from, Checkpoint& ledger) {
        std::string bytes, why;
        from.read(bytes);
        if (auto decoded = decode_checkpoint(bytes, NO_FILE, why))
            ledger = std::move(*decoded);
        else
            from.refuse();
    }
};

template <>
inline constexpr auto FIELDS<take_over::Kept> = std::tuple(&take_over::Kept::batch);
template <>
inline constexpr auto FIELDS<take_over::Begun> = std::tuple(&take_over::Begun::is_read,
                                                            &take_over::Begun::settled,
                                                            &take_over::Begun::lost);
template <>
inline constexpr auto FIELDS<take_over::LeftOff> = std::tuple(&take_over::LeftOff::ledger,
                                                              &take_over::LeftOff::peers_for);
template <>
inline constexpr auto FIELDS<take_over::OfDatabase> = std::tuple(&take_over::OfDatabase::database,
                                                                 &take_over::OfDatabase::what);
template <>
inline constexpr auto FIELDS<take_over::Described> = std::tuple();
template <>
inline constexpr auto FIELDS<take_over::MovedClientList> = std::tuple(&take_over::MovedClientList::clients);
template <>
inline constexpr auto FIELDS<take_over::Rotation> = std::tuple(&take_over::Rotation::old_id,
                                                               &take_over::Rotation::new_id,
                                                               &take_over::Rotation::set_cookie);
template <>
inline constexpr auto FIELDS<take_over::Forgotten> = std::tuple(&take_over::Forgotten::grant);
template <>
inline constexpr auto FIELDS<take_over::Go> = std::tuple(&take_over::Go::relays_to_hub);
template <>
inline constexpr auto FIELDS<take_over::Prepared> = std::tuple();
template <>
inline constexpr auto FIELDS<take_over::Taken> = std::tuple();

std::string encode(const TakeOverMessage& message) {
    std::string bytes(sizeof(uint64_t), '\0');
    write_bytes(bytes, message);
    std::string length;
    write_bytes<uint64_t>(length, bytes.size() - sizeof(uint64_t));
    bytes.replace(0, length.size(), length);
    return bytes;
}

std::optional<TakeOverMessage> decode(std::string_view& bytes, bool& damaged) {
    const auto length = read_bytes<uint64_t>(bytes.substr(0, sizeof(uint64_t)));
    damaged |= length > MAX_BYTES;
    if (!length || damaged || bytes.size() - sizeof *length < *length)
        return std::nullopt;
    auto message = read_bytes<TakeOverMessage>(bytes.substr(sizeof *length, *length));
    bytes.remove_prefix(sizeof *length + *length);
    damaged |= !message;
    return message;
}

} // namespace odoo_bus
