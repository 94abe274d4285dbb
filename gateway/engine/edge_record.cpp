// The bytes of an edge's record: its version and its fields.
#include "engine/edge_record.h"

namespace odoo_bus {

namespace {

constexpr uint8_t VERSION = 1;

} // namespace

std::string encode_record(const EdgeRecord& record) {
    std::string bytes;
    write_bytes(bytes, VERSION);
    write_bytes(bytes, record);
    return bytes;
}

std::optional<EdgeRecord> decode_record(std::string_view bytes) {
    if (bytes.empty() || static_cast<uint8_t>(bytes.front()) != VERSION)
        return std::nullopt;
    return read_bytes<EdgeRecord>(bytes.substr(1));
}

} // namespace odoo_bus
