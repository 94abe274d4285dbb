// What Redis is to be sent so that the stream ends as this gateway's chain does: new entries, and those that
// it has lost. One at a time; the head that answers says what comes next, whatever became of the one before.
#pragma once

#include <deque>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "engine/command.h"
#include "engine/edge.h"

namespace odoo_bus {

class StreamWriter {
public:
    // Whether the stream may be replaced: by who has the lock; by others only when nothing is in it.
    enum class Right { REFILL, REPLACE };

    // Nothing is known of Redis any more.
    void reset();
    // What the stream ends with.
    void head_is(EntryId head);
    std::optional<EntryId> head() const { return head_; }
    bool is_busy() const { return is_busy_; }

    void ask_head(Commands& commands);
    // Sends the entry after the head, when there is one and nothing is on its way. `unsent` comes after what
    // the edge has applied, or is part of it.
    void write(const Edge& edge, const std::deque<EntryPtr>& unsent, Right right, Commands& commands);

    // The stream ends before what this gateway has applied, since this time.
    std::optional<Monotonic> short_since() const { return short_since_; }
    void compare(const Edge& edge, Monotonic now);

private:
    EntryPtr next_entry(const Edge& edge, const std::deque<EntryPtr>& unsent) const;
    static std::vector<EntryPtr> whole_chain(const Edge& edge, const std::deque<EntryPtr>& unsent);

    std::optional<EntryId> head_;
    std::optional<Monotonic> short_since_;
    bool is_busy_ = false; // an answer is to come
};

} // namespace odoo_bus
