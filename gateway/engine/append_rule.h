// When Redis takes an entry: compare-and-append, in one script each, so that no two gateways can append after
// the same entry.
//
// 1. An entry is appended where it belongs: after the one that it names. With an explicit id alone Redis
//    would also take it after a hole.
// 2. What Redis has lost altogether, or replaced by the entries of a leader that was deposed, is put in its
//    place at once: it is written aside, and replaces the stream if the head still is the one that was seen.
//    Written into the stream one by one, two gateways that restore different ends could alternate for ever.
//
// Both answer with the head as it is afterwards. When that is the id that was sent, it is there, whether now
// or by an earlier attempt whose answer was lost.
#pragma once

#include "engine/entry_id.h"

namespace odoo_bus {

// `head`: the newest entry of the stream.
constexpr bool may_append(EntryId head, EntryId previous, EntryId id) {
    return head == previous && head < id;
}

constexpr bool may_restore(EntryId head, EntryId seen, EntryId newest) {
    return head == seen && head < newest;
}

// The same for Redis, whose ids are compared by XADD. KEYS: stream, head. ARGV: previous, id, entry.
inline constexpr const char* APPEND_SCRIPT = R"(
local head = redis.call('GET', KEYS[2]) or '0-0'
if head ~= ARGV[1] then return head end
redis.call('XADD', KEYS[1], ARGV[2], 'e', ARGV[3])
redis.call('SET', KEYS[2], ARGV[2])
return ARGV[2]
)";

// KEYS: stream, head, the stream aside. ARGV: the head that was seen, the newest id aside.
inline constexpr const char* RESTORE_SCRIPT = R"(
local head = redis.call('GET', KEYS[2]) or '0-0'
if head ~= ARGV[1] then
    redis.call('DEL', KEYS[3])
    return head
end
redis.call('RENAME', KEYS[3], KEYS[1])
redis.call('SET', KEYS[2], ARGV[2])
return ARGV[2]
)";

} // namespace odoo_bus
