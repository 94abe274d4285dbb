// Recent grants of Odoo, for clients that come back: in memory, and in a file that survives a restart.
// Neither holds a cookie; keys are SHA-256 digests.
#pragma once

#include <cstdio>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "auth/authorizer.h"
#include "base/clock.h"
#include "base/sha256.h"
#include "http/memory_account.h"

namespace odoo_bus {

class GrantCache {
public:
    struct Bounds {
        size_t entries = 200'000;
        size_t bytes = 64 << 20;
    };

    // `file`: empty keeps nothing across a restart.
    GrantCache(std::string file, Duration ttl, Bounds bounds);
    GrantCache(std::string file, Duration ttl) : GrantCache(std::move(file), ttl, Bounds()) {}

    // Reads the file, once. Entries that have expired, and lines with a wrong checksum, are left out.
    void load(Monotonic now, WallTime date);

    void set_ttl(Duration ttl) { ttl_ = ttl; }

    // `asked`: when Odoo was asked. An answer to an older question than the known one is ignored.
    // `account`: of the client; what is kept is charged to it.
    void put(const Digest& key, const Digest& client, const Grant& grant, Monotonic asked, Monotonic now,
             std::shared_ptr<MemoryAccount> account = nullptr);
    // Removes entries of accounts that hold more than they may keep.
    void shed();
    // `asked`: receives when Odoo was asked.
    std::shared_ptr<const Grant> find(const Digest& key, Monotonic now, Monotonic* asked = nullptr) const;
    void forget(const Digest& key, Monotonic now);
    void forget_client(const Digest& client, Monotonic now);

    // The file is another process's from now on. `on_forget` is called for each key that is forgotten here.
    void let_go(std::function<void(const Digest& key)> on_forget);
    // The other process has failed to take over: the file is this one's again.
    void take_back();

    // About ten times a second: removes expired entries.
    void tick(Monotonic now, WallTime date);

    // From any thread: whether there is an entry of this client.
    bool knows(const Digest& client) const;

    size_t size() const { return entries_.size(); }

private:
    struct Entry {
        Digest client;
        std::shared_ptr<const Grant> grant;
        Monotonic asked;
        Monotonic expires;
        MemoryCharge charge = {};
    };
    using Entries = std::unordered_map<Digest, Entry, DigestHash>;

    static size_t bytes_of(const Grant& grant);
    bool has_room(size_t bytes) const;
    Entries::iterator erase(Entries::iterator entry);
    void insert(const Digest& key, Entry entry);
    void append(const Digest& key, const Entry& entry);
    void append_line(const std::string& text);
    void rewrite();
    bool read_line(std::string_view line, Monotonic now);
    WallTime date_of(Monotonic time) const { return WallTime(time.time_since_epoch() + from_boot_); }
    Monotonic time_of(WallTime date) const { return Monotonic(date.time_since_epoch() - from_boot_); }

    struct CloseFile {
        void operator()(FILE* file) const { fclose(file); }
    };

    const std::string path_;
    Duration ttl_;
    const Bounds bounds_;
    Entries entries_;
    size_t bytes_ = 0;     // of all entries
    Duration from_boot_{}; // from the zero of Monotonic to that of WallTime: the file holds dates
    std::unique_ptr<FILE, CloseFile> file_;
    std::function<void(const Digest&)> on_forget_;                        // set: another process has the file
    size_t lines_ = 0;                                                    // in the file
    mutable std::mutex mutex_;                                            // of clients_
    std::unordered_map<Digest, std::vector<Digest>, DigestHash> clients_; // the keys of each one's entries
};

} // namespace odoo_bus
