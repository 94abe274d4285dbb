// The metrics of one database.
#pragma once

#include <optional>
#include <string>

#include "base/clock.h"
#include "ledger/history.h"
#include "ledger/ledger.h"
#include "metrics/metrics.h"

namespace odoo_bus {

class DatabaseMetrics {
public:
    explicit DatabaseMetrics(const std::string& database);
    ~DatabaseMetrics();
    DatabaseMetrics(const DatabaseMetrics&) = delete;
    DatabaseMetrics& operator=(const DatabaseMetrics&) = delete;

    // About once a second.
    void update(const Ledger& ledger, const History& history, Monotonic now);

    metrics::Value& up;
    metrics::Value& doorbells;
    metrics::Value& reads;
    metrics::Value& notifications;
    metrics::Value& left_out;
    metrics::Value& last_read_age; // in seconds

private:
    const std::string database_;
    metrics::Value& gaps_;
    metrics::Value& open_seconds_;
    metrics::Value& dead_;
    metrics::Value& filled_;
    metrics::Value& ledger_bytes_;
    metrics::Value& positions_;
    metrics::Value& history_bytes_;
    std::optional<Monotonic> open_since_; // when no gap was open last
};

} // namespace odoo_bus
