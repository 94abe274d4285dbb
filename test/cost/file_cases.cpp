// Parsers of files, connection strings, and what another process of the gateway says.
#include <cstdlib>
#include <cstring>

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/token/jwt_keys.h"
#include "base/fingerprint.h"
#include "config/config_file.h"
#include "cost_case.h"
#include "ledger/checkpoint.h"
#include "ledger/order_ring.h"
#include "postgres/conninfo.h"
#include "take_over/message.h"

namespace odoo_bus {

namespace {

void read_configuration(const std::string& text) {
    static const int file = memfd_create("configuration", MFD_CLOEXEC);
    fchmod(file, 0600);
    if (ftruncate(file, 0) != 0 || pwrite(file, text.data(), text.size(), 0) < 0)
        abort();
    std::vector<ConfigLine> lines;
    std::string error;
    read_config_file("/proc/self/fd/" + std::to_string(file), lines, error);
}

Checkpoint with_gaps(size_t gaps, Id apart) {
    Checkpoint checkpoint;
    checkpoint.max_seen = static_cast<Id>(gaps) * apart + 1;
    for (size_t i = 0; i < gaps; ++i)
        checkpoint.gaps.add(static_cast<Id>(i) * apart + 1);
    return checkpoint;
}

// As many gaps as make so many bytes.
MakeText checkpoints(Id apart) {
    return [apart](size_t bytes) {
        std::string text;
        for (size_t gaps = 16;
             (text = encode_checkpoint(with_gaps(gaps, apart), 1)).size() < bytes && gaps < 256 << 10;)
            gaps *= 2;
        return text;
    };
}

void read_checkpoint(const std::string& bytes) {
    std::string why;
    decode_checkpoint(bytes, 1, why);
}

void read_order(const std::string& bytes) {
    std::string memory = bytes, why;
    if (const auto ring = OrderRing::open(memory, why))
        ring->entries();
}

// A ring of as many entries, all of one id or each of another.
MakeText orders(bool distinct) {
    return [distinct](size_t bytes) {
        const size_t capacity = std::max<size_t>(bytes / 32, 4);
        std::string memory(OrderRing::bytes(capacity), '\0');
        OrderRing ring = OrderRing::format(memory, capacity, 1, 1);
        std::vector<Dispatched> entries;
        for (size_t i = 0; i < capacity / 2; ++i)
            entries.push_back(
                {.id = distinct ? static_cast<Id>(i) : 1, .fingerprint = i, .dispatched = wall_time(1)});
        ring.append(entries);
        return memory;
    };
}

Batch batch_of(size_t count, std::string element) {
    Batch batch;
    for (size_t i = 0; i < count; ++i)
        batch.push_back({.id = static_cast<Id>(i),
                         .position = i + 1,
                         .fingerprint = i,
                         .dispatched = Monotonic(Duration(1)),
                         .ahead = false,
                         .channel = "[\"mydb\",\"a\"]",
                         .element = element});
    return batch;
}

MakeText kept(size_t element_bytes) {
    return [element_bytes](size_t bytes) {
        return encode(take_over::OfDatabase{"mydb", take_over::Kept{std::make_shared<const Batch>(batch_of(
                                                        std::max<size_t>(1, bytes / (element_bytes + 80)),
                                                        std::string(element_bytes, 'a')))}});
    };
}

void hear(const std::string& bytes) {
    std::string_view left = bytes;
    bool damaged = false;
    while (decode(left, damaged)) {
    }
}

} // namespace

std::vector<CostCase> file_cases() {
    std::vector<CostCase> cases;
    for (const auto& [what, part] :
         {std::pair("empty_lines", "\n"), std::pair("short_lines", "a=\n"), std::pair("comments", "#\n"),
          std::pair("one_line", "="), std::pair("spaces", " "), std::pair("continued", "a=\\\n")})
        cases.push_back({"config", what, 64 << 10, repeated("", part, ""), read_configuration,
                         repeated("", "max-connections = 50000\n", "")});
    const auto other = [](const std::string& text) { with_database(text, "other"); };
    for (const auto& [what, part] : {std::pair("pairs", "user=a "), std::pair("quotes", "user='' "),
                                     std::pair("spaces", " "), std::pair("escapes", "user=\\a ")})
        cases.push_back({"conninfo", what, 16 << 10, repeated("", part, ""), other,
                         repeated("", "application_name=gateway ", "")});
    for (const auto& [what, part] :
         {std::pair("percent", "%41"), std::pair("ampersands", "&user=a"), std::pair("hosts", ",")})
        cases.push_back({"conninfo", what, 16 << 10, repeated("postgresql://h/d?user=a", part, ""), other});
    for (const auto& [what, apart] :
         {std::pair("gaps_far_apart", Id{100'000}), std::pair("every_second", Id{2})})
        cases.push_back(
            {"state_file", what, 256 << 10, checkpoints(apart), read_checkpoint, checkpoints(17)});
    cases.push_back(
        {"state_file", "zeros", 256 << 10, repeated("", std::string(8, '\0'), ""), read_checkpoint});
    cases.push_back({"state_file", "one_id", 256 << 10, orders(false), read_order, orders(true)});
    for (const HostileJson& json : hostile_json())
        cases.push_back({"jwt_keys", json.what, 64 << 10, inside("{\"keys\":", json.value, "}"),
                         [](const std::string& text) { parse_jwt_keys(text); }});
    cases.push_back({"take_over_message", "short_elements", 256 << 10, kept(1), hear, kept(60)});
    cases.push_back({"take_over_message", "zeros", 256 << 10, repeated("", std::string(8, '\0'), ""), hear});
    return cases;
}

} // namespace odoo_bus
