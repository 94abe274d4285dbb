// The ledger at one position: see checkpoint.h.
#include "ledger/checkpoint.h"

#include <algorithm>
#include <cstring>

#include "base/fingerprint.h"

namespace odoo_bus {

namespace {

constexpr char MAGIC[8] = {'b', 'u', 's', 'l', 'e', 'd', 'g', 'r'};
constexpr uint32_t FORMAT = 1;

// What stands before the two sets; a checksum of everything stands after them.
struct Head {
    char magic[8];
    uint32_t format;
    uint32_t timeline;
    uint64_t file_id;
    uint64_t system_identifier;
    int64_t postmaster_start_us;
    uint32_t database_oid;
    uint32_t relation_oid;
    uint64_t next;
    int64_t max_seen;
    int64_t settled;
    int64_t read_us;
    uint64_t gaps_bytes;
    uint64_t ahead_bytes;
};
static_assert(sizeof(Head) == 96, "without padding");

} // namespace

void Checkpoint::advance(std::span<const Dispatched> entries) {
    for (const auto& [id, fingerprint, dispatched, is_ahead] : entries) {
        if (is_ahead && id > max_seen) {
            ahead.add(id);
        } else if (id <= max_seen) {
            gaps.remove(id);
        } else {
            gaps.add({max_seen + 1, id - 1});
            for (Id from = max_seen + 1; !ahead.empty();) {
                const auto runs = ahead.runs(from, 1);
                if (runs.empty() || runs.front().first > id)
                    break;
                const IdRange passed{runs.front().first, std::min(runs.front().last, id)};
                gaps.remove(passed);
                ahead.remove(passed);
                from = passed.last;
            }
            max_seen = id;
        }
    }
    next += entries.size();
}

std::string encode_checkpoint(const Checkpoint& checkpoint, uint64_t file_id) {
    const std::string gaps = checkpoint.gaps.serialize(), ahead = checkpoint.ahead.serialize();
    Head head = {.magic = {},
                 .format = FORMAT,
                 .timeline = checkpoint.identity.timeline,
                 .file_id = file_id,
                 .system_identifier = checkpoint.identity.system_identifier,
                 .postmaster_start_us = microseconds(checkpoint.identity.postmaster_start),
                 .database_oid = checkpoint.identity.database_oid,
                 .relation_oid = checkpoint.identity.relation_oid,
                 .next = checkpoint.next,
                 .max_seen = checkpoint.max_seen,
                 .settled = checkpoint.settled,
                 .read_us = microseconds(checkpoint.read),
                 .gaps_bytes = gaps.size(),
                 .ahead_bytes = ahead.size()};
    memcpy(head.magic, MAGIC, sizeof MAGIC);
    std::string bytes;
    bytes.reserve(sizeof head + gaps.size() + ahead.size() + sizeof(uint64_t));
    bytes.append(reinterpret_cast<const char*>(&head), sizeof head).append(gaps).append(ahead);
    const uint64_t checksum = fingerprint(bytes);
    return bytes.append(reinterpret_cast<const char*>(&checksum), sizeof checksum);
}

std::optional<Checkpoint> decode_checkpoint(std::string_view bytes, uint64_t file_id, std::string& why) {
    Head head;
    uint64_t checksum;
    if (bytes.size() < sizeof head + sizeof checksum) {
        why = "it is too short";
        return std::nullopt;
    }
    memcpy(&head, bytes.data(), sizeof head);
    if (memcmp(head.magic, MAGIC, sizeof MAGIC) != 0) {
        why = "it is not a file of this program";
        return std::nullopt;
    }
    if (head.format != FORMAT) {
        why = "it has the format of another version";
        return std::nullopt;
    }
    memcpy(&checksum, bytes.data() + bytes.size() - sizeof checksum, sizeof checksum);
    bytes.remove_suffix(sizeof checksum);
    const std::string_view sets = bytes.substr(sizeof head);
    Checkpoint checkpoint;
    if (checksum != fingerprint(bytes) || head.gaps_bytes > sets.size() ||
        head.ahead_bytes != sets.size() - head.gaps_bytes || head.max_seen < 0 || head.next == 0 ||
        !checkpoint.gaps.deserialize(sets.substr(0, head.gaps_bytes)) ||
        !checkpoint.ahead.deserialize(sets.substr(head.gaps_bytes)) ||
        (!checkpoint.gaps.empty() && checkpoint.gaps.max() > head.max_seen)) {
        why = "it is damaged";
        return std::nullopt;
    }
    if (head.file_id != file_id) {
        why = "it belongs to another order of notifications";
        return std::nullopt;
    }
    checkpoint.identity = {.system_identifier = head.system_identifier,
                           .postmaster_start = wall_time(head.postmaster_start_us),
                           .timeline = head.timeline,
                           .database_oid = head.database_oid,
                           .relation_oid = head.relation_oid};
    checkpoint.next = head.next;
    checkpoint.max_seen = head.max_seen;
    checkpoint.settled = head.settled;
    checkpoint.read = wall_time(head.read_us);
    return checkpoint;
}

} // namespace odoo_bus
