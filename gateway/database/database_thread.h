// The thread that reads PostgreSQL.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/loop.h"
#include "database/database_observer.h"
#include "database/database_set.h"
#include "database/succession.h"
#include "protocol/replay_answer.h"

namespace odoo_bus {

class DatabaseThread {
public:
    // `names`: of the databases, in the order of options.databases; unless --database-match finds them.
    // `clients`: hears the databases, on this thread.
    DatabaseThread(const Options& options, std::vector<std::string> names, const std::string& gateway_id,
                   DatabaseObserver& clients);
    ~DatabaseThread();

    // When it returns, `clients` has heard which databases are expected.
    void start();
    // Ends the thread; waits for it.
    void stop();

    // Runs a task on the thread, from any other one.
    void post(Loop::Task task) { loop_.post(std::move(task)); }
    // `answer` is called on this thread.
    void replay(const std::string& database, Id last, std::vector<std::string> channels,
                std::function<void(ReplayAnswer)> answer);

    // See DatabaseSet; from any thread.
    void trim_histories(uint64_t bytes) {
        loop_.post([this, bytes] { databases_.trim_histories(bytes); });
    }
    void release_histories() {
        loop_.post([this] { databases_.release_histories(); });
    }

    DatabaseSet& databases() { return databases_; }
    const DatabaseSet& databases() const { return databases_; }
    Succession& succession() { return succession_; }

private:
    Loop loop_;
    DatabaseObservers observers_;
    DatabaseSet databases_;
    Succession succession_;
};

} // namespace odoo_bus
