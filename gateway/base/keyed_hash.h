// The hash of every table whose keys come from outside: SipHash with a random key of this process, by
// libsodium. Keys that collide cannot be chosen, so a lookup costs the same whatever peers send.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

namespace odoo_bus {

struct KeyedHash {
    size_t operator()(std::string_view bytes) const;
    size_t operator()(int64_t number) const;
    size_t operator()(uint64_t number) const { return (*this)(static_cast<int64_t>(number)); }
};

template <class Key, class Value>
using KeyedMap = std::unordered_map<Key, Value, KeyedHash>;
template <class Key>
using KeyedSet = std::unordered_set<Key, KeyedHash>;

} // namespace odoo_bus
