// The thread that reads PostgreSQL.
#include "database/database_thread.h"

#include <future>
#include <utility>

#include "base/file_clock.h"

namespace odoo_bus {

namespace {

constexpr uint64_t SAVE_CLOCK_MS = 60'000;

} // namespace

DatabaseThread::DatabaseThread(const Options& options, std::vector<std::string> names,
                               const std::string& gateway_id, DatabaseObserver& clients)
    : state_dir_(options.state_dir), databases_(options, std::move(names), gateway_id, loop_, observers_),
      succession_(loop_, databases_, observers_, clients) {
    observers_.add(clients);
}

DatabaseThread::~DatabaseThread() {
    stop();
}

void DatabaseThread::start() {
    std::promise<void> opened;
    loop_.start("reader", [this, &opened] {
        databases_.open();
        succession_.start();
        if (!state_dir_.empty())
            loop_.every(SAVE_CLOCK_MS, [this] { file_clock::save(state_dir_, file_clock::boot_id()); });
        opened.set_value();
    });
    opened.get_future().wait();
}

void DatabaseThread::stop() {
    loop_.post([this] {
        succession_.stop();
        databases_.close();
        loop_.stop();
    });
    loop_.join();
}

void DatabaseThread::replay(const std::string& database, Id last, std::vector<std::string> channels,
                            std::function<void(ReplayAnswer)> answer) {
    loop_.post([this, database, last, channels = std::move(channels), answer = std::move(answer)]() mutable {
        databases_.replay(database, last, std::move(channels), std::move(answer));
    });
}

} // namespace odoo_bus
