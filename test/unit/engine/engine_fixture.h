// One gateway's engine with a Redis and a clock of the test's own, and what it asks for.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "chain.h"
#include "engine/append_rule.h"
#include "engine/engine.h"

namespace odoo_bus {

using namespace std::chrono_literals;

inline constexpr EntryLog::Bounds HISTORY{.age = 600s, .bytes = 20'000};

class EngineTest : public testing::Test {
protected:
    void tick(Duration later = 100ms) {
        now += later;
        engine.tick(now, 1'000);
        drain();
    }
    void drain() {
        for (Command& command : engine.take_commands())
            commands.push_back(std::move(command));
    }
    // The first command of this kind, if it was asked for; what was asked before is forgotten.
    template <class Kind>
    std::optional<Kind> take() {
        drain();
        std::optional<Kind> found;
        for (const Command& command : commands)
            if (const auto* const each = std::get_if<Kind>(&command); each && !found)
                found = *each;
        std::erase_if(commands, [](const Command& command) { return std::holds_alternative<Kind>(command); });
        return found;
    }
    void connect() {
        engine.connected(now);
        answer_records();
        head_is(head);
    }
    void answer_records() {
        drain();
        if (take<command::ExchangeRecords>())
            engine.records_are(records, now);
    }
    void head_is(EntryId id) {
        head = id;
        engine.head_is(head, now);
        drain();
    }
    // For this long, with a Redis that answers.
    void run(Duration duration) {
        for (const Monotonic end = now + duration; now < end;) {
            tick();
            answer_records();
            if (take<command::ReadHead>())
                head_is(head);
        }
    }
    void append(const command::Append& command) {
        if (may_append(head, command.entry->previous, command.entry->id))
            head = command.entry->id;
        head_is(head);
    }
    void follow(const EntryPtr& entry) {
        head = entry->id;
        engine.read(entry, now);
        drain();
    }
    // The stream of another leader, which has ended.
    void follow_some() {
        follow(chain.begin());
        follow(chain.whole(0));
        follow(chain.publish({1}));
    }
    void lead() {
        connect();
        follow_some();
        run(1s);
        engine.locked(now);
        run(1s);
        const auto barrier = take<command::Append>();
        ASSERT_TRUE(barrier);
        append(*barrier);
        ASSERT_FALSE(take<command::Lead>()) << "it was not read yet";
        follow(barrier->entry);
        ASSERT_TRUE(take<command::Lead>());
        commands.clear();
    }
    bool publish(Id id) {
        const bool is_taken = engine.publish(CHAIN_DATABASE, event::Publish{chain_batch({id}), 0}, now);
        drain();
        return is_taken;
    }
    void hear_of(const EdgeRecord& record) {
        records["other"] = record;
        records["other"].sent = now;
    }
    Leadership::Phase phase() const { return engine.leadership().phase(); }

    Monotonic now{1h};
    EntryId head = NO_ENTRY;
    EdgeTable::Records records;
    Commands commands;
    Chain chain{EntryId{5, 0}};
    Engine engine{{.name = "this", .history = HISTORY}, {}, now};
};

} // namespace odoo_bus
