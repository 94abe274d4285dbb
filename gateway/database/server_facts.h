// What a server may refuse to tell: managed servers hide some of their functions and views. Each question is
// a statement of its own, and the gateway works without its answer.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "postgres/pg_connection.h"

namespace odoo_bus {

class ServerFacts {
public:
    enum Question : size_t { SYSTEM, TIMELINE, STARTED, RECOVERY, LOCKS, SNAPSHOT };
    static constexpr size_t QUESTIONS = SNAPSHOT + 1;

    // `gateway_key`: of this gateway's advisory lock.
    static std::string query(Question question, uint32_t gateway_key);

    void answered(Question question, const PgResult& result);
    // Of another statement, which the gateway can do without: `without` says what is lost.
    void refused(const PgResult& result, const char* without);

    // SYSTEM: the system identifier. TIMELINE. STARTED: when the server was, in microseconds since 1970.
    // RECOVERY: whether the server is a standby. LOCKS: how many other gateways are connected. SNAPSHOT:
    // nothing.
    std::optional<int64_t> operator[](Question question) const { return answers_[question]; }

    // For each question that was refused a sentence: which, why, and what that costs.
    const std::vector<std::string>& refusals() const { return refusals_; }

private:
    std::array<std::optional<int64_t>, QUESTIONS> answers_;
    std::vector<std::string> refusals_;
};

} // namespace odoo_bus
