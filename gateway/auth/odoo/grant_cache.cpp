// Recent grants of Odoo.
//
// The file is a log with one line for each grant. A later line of the same key replaces it, one without a
// grant revokes it. Each line begins with a checksum, so that a torn line is recognised. The file is
// rewritten when most of its lines have expired.
#include "auth/odoo/grant_cache.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <string_view>

#include "base/format.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fingerprint.h"
#include "base/format.h"
#include "base/json.h"
#include "base/json_slice.h"
#include "base/log.h"
#include "common/ascii_json.h"

namespace odoo_bus {

namespace {

constexpr size_t CHECKSUM_DIGITS = 16;
constexpr size_t SPARE_LINES = 10'000; // that may have expired before the file is rewritten
constexpr size_t MAX_LINE = 4 << 20;
constexpr off_t MAX_FILE = off_t{1} << 30;
constexpr int64_t MAX_DATE = int64_t{1} << 60;

std::string hex(const Digest& digest) {
    return fmt::format("{:02x}", fmt::join(digest, ""));
}

bool from_hex(const json_t* text, Digest& digest) {
    const std::string_view digits(json_is_string(text) ? json_string_value(text) : "");
    if (digits.size() != digest.size() * 2)
        return false;
    for (size_t i = 0; i < digest.size(); ++i) {
        const char* const byte = digits.data() + i * 2;
        const auto [end, error] = std::from_chars(byte, byte + 2, digest[i], 16);
        if (error != std::errc() || end != byte + 2)
            return false;
    }
    return true;
}

std::string with_checksum(const std::string& text) {
    return fmt::format("{:016x} {}\n", fingerprint(text), text);
}

} // namespace

GrantCache::GrantCache(std::string file, Duration ttl, Bounds bounds)
    : path_(std::move(file)), ttl_(ttl), bounds_(bounds) {}

// --- entries ---

// With the entry itself, and its place among those of its client.
size_t GrantCache::bytes_of(const Grant& grant) {
    return sizeof(Entry) + sizeof grant + 200 + held_bytes(grant.channels);
}

bool GrantCache::has_room(size_t bytes) const {
    return entries_.size() < bounds_.entries && bytes_ + bytes <= bounds_.bytes;
}

GrantCache::Entries::iterator GrantCache::erase(Entries::iterator entry) {
    bytes_ -= bytes_of(*entry->second.grant);
    {
        const std::lock_guard lock(mutex_);
        const auto client = clients_.find(entry->second.client);
        if (client != clients_.end() && std::erase(client->second, entry->first) && client->second.empty())
            clients_.erase(client);
    }
    return entries_.erase(entry);
}

void GrantCache::insert(const Digest& key, Entry entry) {
    if (const auto known = entries_.find(key); known != entries_.end())
        erase(known);
    bytes_ += bytes_of(*entry.grant);
    const std::lock_guard lock(mutex_);
    clients_[entry.client].push_back(key);
    entries_.emplace(key, std::move(entry));
}

void GrantCache::put(const Digest& key, const Digest& client, const Grant& grant, Monotonic asked,
                     Monotonic now, std::shared_ptr<MemoryAccount> account) {
    const auto known = entries_.find(key);
    if (known != entries_.end() && known->second.asked > asked)
        return;
    const size_t bytes = bytes_of(grant);
    if (bytes > bounds_.bytes / 16)
        return forget(key, now); // it would drive out too many
    if (known != entries_.end())
        erase(known);
    while (!has_room(bytes) && !entries_.empty())
        erase(entries_.begin()); // any one: it costs one question to Odoo
    Entry entry{client, std::make_shared<Grant>(grant), asked, now + ttl_,
                MemoryCharge(std::move(account), bytes)};
    append(key, entry);
    insert(key, std::move(entry));
}

void GrantCache::shed() {
    for (auto it = entries_.begin(); it != entries_.end();)
        it = it->second.charge.exceeds() ? erase(it) : std::next(it);
}

std::shared_ptr<const Grant> GrantCache::find(const Digest& key, Monotonic now, Monotonic* asked) const {
    const auto it = entries_.find(key);
    if (it == entries_.end() || it->second.expires <= now)
        return nullptr;
    if (asked)
        *asked = it->second.asked;
    return it->second.grant;
}

void GrantCache::forget(const Digest& key, Monotonic now) {
    const auto it = entries_.find(key);
    if (it == entries_.end())
        return;
    append(key, {it->second.client, nullptr, now, now});
    if (on_forget_)
        on_forget_(key);
    erase(it);
}

void GrantCache::let_go(std::function<void(const Digest& key)> on_forget) {
    file_.reset();
    on_forget_ = std::move(on_forget);
}

void GrantCache::take_back() {
    on_forget_ = nullptr;
    if (!path_.empty())
        rewrite();
}

void GrantCache::forget_client(const Digest& client, Monotonic now) {
    const auto known = clients_.find(client);
    if (known == clients_.end())
        return;
    for (const Digest& key : std::vector<Digest>(known->second))
        forget(key, now);
}

void GrantCache::tick(Monotonic now, WallTime date) {
    from_boot_ = date.time_since_epoch() - now.time_since_epoch();
    for (auto it = entries_.begin(); it != entries_.end();)
        it = it->second.expires <= now ? erase(it) : std::next(it);
    if (file_ && lines_ > entries_.size() * 2 + SPARE_LINES)
        rewrite();
}

bool GrantCache::knows(const Digest& client) const {
    const std::lock_guard lock(mutex_);
    return clients_.contains(client);
}

// --- the file ---

void GrantCache::append(const Digest& key, const Entry& entry) {
    if (!file_)
        return;
    std::string line = fmt::format(R"({{"key":"{}","client":"{}","asked":{},"expires":{})", hex(key),
                                   hex(entry.client), microseconds(date_of(entry.asked)),
                                   entry.grant ? microseconds(date_of(entry.expires)) : 0);
    if (entry.grant) {
        std::string database;
        if (!write_json_string(database, entry.grant->database))
            return;
        // Channels are JSON in ASCII already.
        line +=
            fmt::format(R"(,"database":{},"channels":[{}])", database, fmt::join(entry.grant->channels, ","));
    }
    line += '}';
    append_line(line);
}

void GrantCache::append_line(const std::string& text) {
    const std::string line = with_checksum(text);
    // One write() for each line, so that lines survive a kill -9 and are not torn by it.
    if (fwrite(line.data(), line.size(), 1, file_.get()) != 1 || fflush(file_.get()) != 0) {
        log::warning("{} cannot be written ({}): after a restart Odoo is asked for every client", path_,
                     strerror(errno));
        file_.reset();
    }
    ++lines_;
}

bool GrantCache::read_line(std::string_view line, Monotonic now) {
    if (line.size() < CHECKSUM_DIGITS + 1)
        return false;
    const std::string_view text = line.substr(CHECKSUM_DIGITS + 1);
    if (fmt::format("{:016x} ", fingerprint(text)) != line.substr(0, CHECKSUM_DIGITS + 1))
        return false;
    const Json value(json_loadb(text.data(), text.size(), 0, nullptr));
    Digest key, client;
    if (!from_hex(json_object_get(value.get(), "key"), key) ||
        !from_hex(json_object_get(value.get(), "client"), client))
        return false;
    const auto time = [this, &value](const char* name) {
        const json_int_t date = json_integer_value(json_object_get(value.get(), name));
        return time_of(wall_time(std::clamp<json_int_t>(date, 0, MAX_DATE)));
    };
    const Monotonic asked = time("asked"), expires = time("expires");
    const json_t* database = json_object_get(value.get(), "database");
    const json_t* channels = json_object_get(value.get(), "channels");
    const auto known = entries_.find(key);
    if (!json_is_string(database) || !json_is_array(channels)) {
        if (known != entries_.end())
            erase(known);
        return true;
    }
    // A clock that was set back must not make a grant live longer.
    if (expires <= now || expires > now + ttl_) {
        if (known != entries_.end())
            erase(known); // it was replaced by this one
        return true;
    }
    auto grant = std::make_shared<Grant>();
    grant->database = json_string_value(database);
    // Byte for byte: encoded again they might differ.
    for (const std::string_view channel : json_elements(json_member(text, "channels").value_or("")))
        grant->channels.emplace_back(channel);
    insert(key, {client, std::move(grant), asked, expires});
    return true;
}

void GrantCache::load(Monotonic now, WallTime date) {
    from_boot_ = date.time_since_epoch() - now.time_since_epoch();
    if (path_.empty())
        return;
    const int descriptor = open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct stat status = {};
    if (descriptor >= 0 && fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode) &&
        status.st_uid == geteuid() && (status.st_mode & (S_IWGRP | S_IWOTH)) == 0 &&
        status.st_size <= MAX_FILE) {
        const std::unique_ptr<FILE, CloseFile> file(fdopen(descriptor, "r"));
        char* line = nullptr;
        size_t capacity = 0;
        ssize_t length;
        size_t wrong = 0;
        while (has_room(0) && (length = getline(&line, &capacity, file.get())) > 0) {
            const auto size = static_cast<size_t>(length);
            const bool whole = line[size - 1] == '\n' && size <= MAX_LINE;
            if (!whole || !read_line({line, size - 1}, now))
                ++wrong;
        }
        free(line);
        if (wrong)
            log::warning("{}: {} lines were not whole and are left out", path_, wrong);
    } else if (descriptor >= 0) {
        log::warning("{} is not trusted: it must be owned by the gateway's user and writable by nobody else",
                     path_);
        close(descriptor);
    }
    rewrite();
}

void GrantCache::rewrite() {
    const std::string unfinished = path_ + ".new";
    unlink(unfinished.c_str());
    const int descriptor = open(unfinished.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (descriptor < 0) {
        log::warning("{} cannot be written ({}): after a restart Odoo is asked for every client", unfinished,
                     strerror(errno));
        file_.reset();
        return;
    }
    file_.reset(fdopen(descriptor, "w"));
    lines_ = 0;
    for (const auto& [key, entry] : entries_)
        append(key, entry);
    if (file_ && rename(unfinished.c_str(), path_.c_str()) != 0) {
        log::warning("{} cannot be written ({}): after a restart Odoo is asked for every client", path_,
                     strerror(errno));
        file_.reset();
    }
}

} // namespace odoo_bus
