// What is known of one database, and its file: see database_state.h.
#include "ledger/database_state.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "base/file_clock.h"
#include "base/log.h"

namespace odoo_bus {

void DatabaseState::compare_identity(const TableIdentity& before) {
    if (identity.is_another_table(before))
        knowledge = Knowledge::OUTDATED;
    else if (!identity.is_same_run(before))
        knowledge = std::max(knowledge, Knowledge::UNCOMPARED);
}

StateFile::Opened DatabaseState::open_file() {
    StateFile::Opened opened =
        StateFile::open(std::filesystem::path(settings_.directory) / StateFile::name_of(settings_.database),
                        settings_.entries);
    if (!opened.message.empty())
        log::log(opened.file ? log::Level::warning : log::Level::error, "database \"{}\": {}",
                 settings_.database, opened.message);
    file_ = std::move(opened.file);
    return opened;
}

std::optional<StateFile::Loaded> DatabaseState::open() {
    if (settings_.directory.empty() || file_)
        return std::nullopt;
    return open_file().loaded;
}

void DatabaseState::reopen() {
    if (settings_.directory.empty())
        return;
    const auto loaded = open_file().loaded;
    if (!file_)
        return;
    const auto& batches = history.batches();
    const bool is_current = loaded && loaded->ledger.next == history.head() + 1 &&
                            loaded->ledger.max_seen == cycle.ledger().max_seen() &&
                            (loaded->entries.empty() || batches.empty() ||
                             loaded->entries.back().fingerprint == batches.back()->back().fingerprint);
    if (is_current)
        return;
    file_->clear(history.oldest());
    for (const BatchPtr& batch : batches)
        write(*batch);
}

void DatabaseState::remove() {
    if (file_)
        file_->remove();
    file_.reset();
}

void DatabaseState::clear_file(Position next) {
    if (file_)
        file_->clear(next);
}

// The positions are in the file before any client is told: after a kill -9 the order is known of everything
// that a client may have got.
BatchPtr DatabaseState::dispatch(std::vector<Row> rows) {
    BatchPtr batch = history.append(std::move(rows));
    if (batch)
        write(*batch);
    return batch;
}

void DatabaseState::write(const Batch& batch) {
    if (!file_)
        return;
    std::vector<Dispatched> entries;
    for (const Notification& notification : batch)
        entries.push_back({notification.id, notification.fingerprint,
                           file_clock::date_of(notification.dispatched), notification.ahead});
    file_->append(batch.front().position, entries);
}

Checkpoint DatabaseState::checkpoint() const {
    return {.identity = identity,
            .next = history.head() + 1,
            .max_seen = cycle.ledger().max_seen(),
            .settled = history.settled(),
            .read = file_clock::date_of(read),
            .gaps = cycle.ledger().gaps(),
            .ahead = cycle.chosen()};
}

void DatabaseState::write_checkpoint() {
    if (file_ && !file_->checkpoint(checkpoint())) {
        static log::Limited lines("failed checkpoints", 1);
        lines.write(log::Level::error, "database \"{}\": {}", settings_.database, file_->message());
    }
}

} // namespace odoo_bus
