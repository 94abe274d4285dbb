// What Odoo has granted a short while ago, for clients that come back: in memory, and in a file that outlives
// the gateway. Neither holds a cookie; keys are SHA-256 digests.
#pragma once

#include <cstdint>
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
#include "base/sha256.h"

namespace odoo_bus {

class GrantCache {
public:
    // `file`: empty keeps nothing across a restart.
    GrantCache(std::string file, int64_t ttl_us, size_t max_entries = 200'000);

    // Reads the file, once. Entries that have passed their time, and lines that are not ours, are left out.
    void load(int64_t now_us);

    void set_ttl(int64_t ttl_us) { ttl_us_ = ttl_us; }

    // `asked_us`: when Odoo was asked; an answer to an older question changes nothing.
    void put(const Digest& key, const Digest& client, const Grant& grant, int64_t asked_us, int64_t now_us);
    // `asked_us`: receives when Odoo was asked.
    std::shared_ptr<const Grant> find(const Digest& key, int64_t now_us, int64_t* asked_us = nullptr) const;
    void forget(const Digest& key, int64_t now_us);
    void forget_client(const Digest& client, int64_t now_us);

    // Another process has the file from now on, and is told of what is forgotten here.
    void let_go(std::function<void(const Digest& key)> on_forget);
    // It has not.
    void take_back();

    // About once a second: lets go of what has passed its time.
    void tick(int64_t now_us);

    // From any thread: whether this client would find something.
    bool knows(const Digest& client) const;

    size_t size() const { return entries_.size(); }

private:
    struct Entry {
        Digest client;
        std::shared_ptr<const Grant> grant;
        int64_t asked_us;
        int64_t expires_us;
    };
    using Entries = std::unordered_map<Digest, Entry, DigestHash>;

    Entries::iterator erase(Entries::iterator entry);
    void insert(const Digest& key, Entry entry);
    void append(const Digest& key, const Entry& entry);
    void append_line(const std::string& text);
    void rewrite();
    bool read_line(std::string_view line, int64_t now_us);

    struct CloseFile {
        void operator()(FILE* file) const { fclose(file); }
    };

    const std::string path_;
    int64_t ttl_us_;
    const size_t max_entries_;
    Entries entries_;
    std::unique_ptr<FILE, CloseFile> file_;
    std::function<void(const Digest&)> on_forget_;                        // set: another process has the file
    size_t lines_ = 0;                                                    // in the file
    mutable std::mutex mutex_;                                            // of clients_
    std::unordered_map<Digest, std::vector<Digest>, DigestHash> clients_; // the keys of each one's entries
};

} // namespace odoo_bus
