// The thread that reads PostgreSQL: owns the databases, the hub and their state files.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "audience.h"
#include "database.h"
#include "found_databases.h"
#include "hub.h"
#include "loop.h"
#include "options.h"
#include "stream.h"

namespace odoo_bus {

class Reader {
public:
    // `names`: of the databases, in the order of options.databases; unless --database-match finds them.
    Reader(const Options& options, std::vector<std::string> names, const std::string& gateway_id,
           Audience& audience);
    ~Reader();

    void start();
    // Ends the thread; waits for it.
    void stop();

    // --- from any thread ---

    // Runs a task on its thread.
    void post(Loop::Task task) { loop_.post(std::move(task)); }
    void replay(const std::string& database, Id last, std::vector<std::string> channels,
                std::function<void(ReplayAnswer)> answer);
    // Empty when at least one database is being read, else why not.
    std::string unavailable() const;
    // Why a client would miss something now that other gateways may have.
    std::vector<std::string> unready() const;

private:
    void open();
    void serve(const std::string& name, const std::string& conninfo);
    void forget(const std::string& name);
    void refused(const std::string& name, const std::string& why);
    std::string hub_name() const;
    bool finds() const { return !options_.database_match.empty(); }
    void ring(const std::string& database);
    std::function<void(std::string_view payload)> hear(const std::string& name);

    const Options options_;
    const std::vector<std::string> names_;
    const uint32_t gateway_key_;
    Audience& audience_;
    Loop loop_;
    std::map<std::string, std::unique_ptr<Database>> databases_;
    std::unique_ptr<Hub> hub_;
    FoundDatabases found_; // with --database-match
    std::unique_ptr<DatabaseWatch> watch_;
    std::atomic<bool> listed_ = false;    // what watch_ said last is true now
    std::atomic<unsigned> available_ = 0; // databases that are being read
    std::atomic<unsigned> known_ = 0;     // and that were, at least once
};

} // namespace odoo_bus
