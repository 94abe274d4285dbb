#!/usr/bin/python3
"""Breaks the ledger, the history, the state file, where clients resume and the order that gateways share, and checks that a unit test fails each time.

    test/mutations.py [WORD]    only the mutations whose description or file has WORD in it

Each mutation is compiled in a temporary folder; the working tree is not touched.
"""
import concurrent.futures
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
SOURCES = ["gateway/ledger/id_set.cpp", "gateway/ledger/ledger.cpp", "gateway/ledger/read_cycle.cpp", "gateway/ledger/order_ring.cpp", "gateway/ledger/checkpoint.cpp",
           "gateway/ledger/state_file.cpp", "gateway/clients/fan_out.cpp", "gateway/clients/positions.cpp", "gateway/metrics/metrics.cpp", "gateway/protocol/frame_cache.cpp", "gateway/protocol/frame.cpp",
           "gateway/base/json.cpp", "gateway/base/keyed_hash.cpp", "gateway/base/trusted_file.cpp", "gateway/http/gateway_cookie.cpp", "gateway/http/memory_account.cpp", "gateway/clients/moved_clients.cpp", "gateway/clients/resume.cpp",
           "gateway/clients/catch_up.cpp", "gateway/take_over/message.cpp",
           "gateway/take_over/link.cpp", "test/unit/http/gateway_cookie_test.cpp", "test/unit/take_over/message_test.cpp",
           "test/unit/take_over/link_test.cpp", "test/unit/base/bytes_test.cpp", "test/unit/protocol/database_event_test.cpp",
           "test/unit/clients/fan_out_test.cpp", "test/unit/clients/fan_out_confirmation_test.cpp", "test/unit/clients/resume_test.cpp",
           "test/unit/clients/resume_move_test.cpp", "test/unit/ledger/id_set_test.cpp", "test/unit/ledger/ledger_test.cpp",
           "test/unit/ledger/read_cycle_test.cpp",
           "test/unit/ledger/ledger_simulation_test.cpp", "test/unit/ledger/ledger_by_transaction_ids_test.cpp",
           "test/unit/ledger/state_file_test.cpp",
           *(str(path.relative_to(ROOT)) for room in ("gateway/engine", "test/unit/engine") for path in sorted((ROOT / room).glob("*.cpp")))]
CYCLE = "gateway/ledger/read_cycle.cpp"
ENGINE = "gateway/engine/"
SAW_END = """    next_ = ledger_.has_gaps() ? Statement::HOLDERS : Statement::NONE;
    return had_no_gaps ? dispatch_read() : std::vector<Row>();
"""

# (what is broken, file, text, its replacement). All of them break product code. Which prepared transactions are
# holders is decided by a statement of database/bus_statements.cpp, so that no unit test can see it broken: two
# mutations of the simulated PostgreSQL stood for it, and were dropped; test/e2e/ledger_test.py is what proves it.
MUTATIONS = [
    # the gap rule
    ("holders are looked up before the read", CYCLE,
     [("ledger_.gap_count() >= limits_.many_gaps", "true"),
      (SAW_END, "    (void)had_no_gaps;\n    return go_on();\n")]),
    ("a gap is not probed when it is first noted", "gateway/ledger/ledger.cpp",
     "generation.noted = generation.due_next = true;", "generation.noted = true;"),
    ("a gap dies without a probe", "gateway/ledger/ledger.cpp",
     "            generation.holders = std::move(left);\n",
     "            generation.holders = std::move(left);\n            if (generation.holders.empty())\n"
     "                generation.ids = {};\n"),
    ("a gap dies while one of its holders is left", "gateway/ledger/ledger.cpp",
     "generation.noted && generation.holders.empty();", "generation.noted && generation.holders.size() < 2;"),
    ("a gap dies by a snapshot that is older than the look-up", "gateway/ledger/ledger.cpp",
     "if (generation.orphaned)", "if (generation.holders.empty())"),
    ("a gap dies before its holders are looked up", "gateway/ledger/ledger.cpp",
     "generation.noted && generation.holders.empty();", "generation.holders.empty();"),
    ("holders that have gone stay noted", "gateway/ledger/ledger.cpp",
     "            generation.holders = std::move(left);\n", ""),
    ("newcomers become holders of old gaps", "gateway/ledger/ledger.cpp",
     "std::ranges::set_intersection(generation.holders, holders, std::back_inserter(left));",
     "left = holders;"),
    ("a gap is probed only when all its holders have gone", "gateway/ledger/ledger.cpp",
     "            generation.due = generation.due_next = true;\n        }",
     "            generation.due = generation.due_next = generation.holders.empty();\n        }"),
    ("a gap is never probed again", "gateway/ledger/ledger.cpp",
     "            generation.due = generation.due_next = true;\n        }", "        }"),
    ("holders keep their names over a reconnect", "gateway/ledger/ledger.h",
     "void abandon() { lower(settled_); }", "void abandon() { if (settled_ < max_seen_) lower(settled_); }"),
    ("what was read before the connection was lost counts as dispatched", "gateway/ledger/ledger.h",
     "void abandon() { lower(settled_); }", "void abandon() { lower(max_seen_); }"),
    ("generations are merged whoever holds them", "gateway/ledger/ledger.cpp",
     "if (equal || (generations_.size() > MAX_GENERATIONS && older.noted && newer.noted)) {", "if (true) {"),
    ("gaps that are to be probed are merged with others", "gateway/ledger/ledger.cpp",
     " && older.due_next == newer.due_next;", ";"),
    ("gaps that are to be probed are forgotten when they are merged", "gateway/ledger/ledger.cpp",
     "            older.due_next |= newer.due_next;\n", ""),
    ("generations are never merged", "gateway/ledger/ledger.cpp",
     "if (equal || ", "if ("),
    ("surplus generations lose holders", "gateway/ledger/ledger.cpp",
     "            older.holders = std::move(newer.holders);\n", ""),
    ("surplus generations are kept", "gateway/ledger/ledger.cpp",
     "equal || (generations_.size() > MAX_GENERATIONS && older.noted && newer.noted)", "equal"),
    ("a gap that is not ripe is not probed", "gateway/ledger/ledger.cpp",
     "            generation.due |= generation.found.has_value();\n", ""),
    ("holders are looked up before a gap is ripe", "gateway/ledger/ledger.cpp",
     "if (*generation.found > ripeness.ripe)", "if (false)"),
    ("the last id of a gap is forgotten", "gateway/ledger/ledger.cpp",
     "fresh.add({max_seen_ + 1, id - 1});", "fresh.add({max_seen_ + 1, id - 2});"),
    ("an answer that was cut by its limit counts as whole", CYCLE,
     "if (is_cut || rows.size() == limits_.probe_rows) {", "if (is_cut) {"),
    # order
    ("each statement of a cycle has a snapshot of its own", CYCLE,
     ".keeps_snapshot = ledger_.has_gaps()}", ".keeps_snapshot = false}"),
    ("a gap of which a holder has gone is probed in the next snapshot only", "gateway/ledger/ledger.cpp",
     "            generation.due = generation.due_next = true;\n        }",
     "            generation.due_next = true;\n        }"),
    ("a gap of which a holder has gone is probed in this snapshot only", "gateway/ledger/ledger.cpp",
     "            generation.due = generation.due_next = true;\n        }",
     "            generation.due = true;\n        }"),
    ("gaps of an earlier process or connection are not probed in the first snapshot", "gateway/ledger/ledger.cpp",
     ".due_next = true});", ".due_next = false});"),
    ("rows of the read are dispatched before the probes", "gateway/ledger/ledger.cpp",
     "return !had_gaps;", "return true;"),
    ("rows of the read are settled before the probes", "gateway/ledger/ledger.cpp",
     "    if (!had_gaps)\n        settled_", "    settled_"),
    ("rows of the read are dispatched and not settled", "gateway/ledger/ledger.cpp",
     "    if (!had_gaps)\n        settled_ = max_seen_;\n", ""),
    ("gaps are probed from the newest generation", "gateway/ledger/ledger.cpp",
     [("    for (Generation& generation : generations_) {\n        if (!generation.due)\n            continue;\n        if (auto",
       "    for (Generation& generation : std::views::reverse(generations_)) {\n        if (!generation.due)\n            continue;\n        if (auto"),
      ("    for (Generation& generation : generations_) {\n        if (!generation.due)\n            continue;\n        const uint64_t before",
       "    for (Generation& generation : std::views::reverse(generations_)) {\n        if (!generation.due)\n            continue;\n        const uint64_t before"),
      ("#include <iterator>\n", "#include <iterator>\n#include <ranges>\n")]),
    # the read cycle
    ("a cycle dispatches the rows of its read before its probes", CYCLE,
     SAW_END, SAW_END.replace("had_no_gaps ?", "had_no_gaps || true ?")),
    ("what was read before the connection was lost is dispatched all the same", CYCLE,
     "    incoming_.clear();\n", ""),
    ("a read that was cut by its limit is not followed by another one", CYCLE,
     " || ids.size() == limits_.read_rows;", ";"),
    ("a doorbell that rings during a cycle is forgotten", CYCLE,
     "        again_ = true;\n        return false;", "        return false;"),
    ("holders are not looked up first when many gaps are open", CYCLE,
     "ledger_.gap_count() >= limits_.many_gaps", "false"),
    ("gaps are re-checked at one pace", CYCLE,
     "std::clamp(recheck_ * 2,", "std::clamp(recheck_,"),
    ("gaps that the next snapshot may show wait", CYCLE,
     "ledger_.is_due() ? FIRST_RECHECK :", "false ? FIRST_RECHECK :"),
    # chosen ids
    ("a chosen id moves max_seen", CYCLE,
     "        if (row.ahead) {\n            ++ahead;", "        if (false) {\n            ++ahead;"),
    ("a chosen id comes again when the sequence has passed it", CYCLE,
     "            if (chosen_.contains(row.id)) {", "            if (false) {"),
    ("a chosen id comes again in the next cycle", CYCLE,
     ".chosen = chosen_until_,", ".chosen = 0,"),
    ("a chosen id comes before what may have caused it", CYCLE,
     "    if (ids.size() == limits_.read_rows)\n        std::erase_if", "    if (false)\n        std::erase_if"),
    ("an answer that was cut is not followed by another read", CYCLE, "again_ |= is_cut || ", "again_ |= "),
    ("a probe that was cut counts as whole", CYCLE, "if (is_cut || rows.size()", "if (rows.size()"),
    ("more chosen ids than fit are not followed by another read", CYCLE,
     "again_ |= is_cut || ahead == limits_.read_rows || ", "again_ |= is_cut || "),
    ("chosen ids that were passed are remembered for ever", CYCLE,
     "        chosen_.remove(id);\n", "        (void)id;\n"),
    ("a chosen id that the server lost hides the one that is chosen after it", CYCLE,
     "    chosen_until_ = chosen_.empty() ? 0 : chosen_.max();", "    chosen_until_ = chosen_.empty() ? chosen_until_ : chosen_.max();"),
    # the history position
    ("what a client named as its last comes again", "gateway/clients/fan_out.cpp",
     "subscriber.next_ = from + 1;", "subscriber.next_ = from;"),
    ("the notification after a client's last is skipped", "gateway/clients/fan_out.cpp",
     "subscriber.next_ = from + 1;", "subscriber.next_ = from + 2;"),
    ("a new channel begins where the others are", "gateway/clients/fan_out.cpp",
     "            from = std::min(from, begin);\n", ""),
    ("a channel that is kept begins anew", "gateway/clients/fan_out.cpp",
     "            subscription.since = std::max(subscription.since, settled);\n", ""),
    ("each channel begins where the oldest one does", "gateway/clients/fan_out.cpp",
     "std::max(subscriber.next_, subscription.since + 1)", "subscriber.next_"),
    ("a channel that is left and joined again begins anew", "gateway/clients/fan_out.cpp",
     "std::max(since, subscriber.floor_)", "since"),
    ("the history keeps one notification less", "gateway/clients/fan_out.cpp",
     "oldest() < keep_from) {", "oldest() <= keep_from) {"),
    ("who is behind the history goes on where it begins", "gateway/clients/fan_out.cpp",
     [("    if (subscriber.next_ < oldest())\n        return subscriber.fell_behind(\"behind the history\");\n"
       "    const", "    const"),
      ("    if (subscriber.next_ < oldest())\n        return subscriber.fell_behind(\"behind the history\");\n"
       "    if (subscriber.wants", "    if (subscriber.wants")]),
    ("rows that the server lost are replayed", "gateway/clients/fan_out.cpp",
     "        target.positions.remove(position);\n", ""),
    # what waits for the confirmation of a grant
    ("a client that is not confirmed is given all that waits", "gateway/clients/fan_out.cpp",
     "const bool confirmed = subscriber.is_confirmed(MonotonicClock::now());", "const bool confirmed = true;"),
    ("a single notification does not wait for a confirmation", "gateway/clients/fan_out.cpp",
     "!subscriber.is_confirmed(flushed_at_) && is_personal", "false && is_personal"),
    ("who was let pass once waits for nothing", "gateway/clients/fan_out.cpp",
     "    subscriber.passed_ = head_;", "    subscriber.passed_ = head_ + 1000;"),
    ("who is let pass is given nothing", "gateway/clients/fan_out.cpp",
     "    subscriber.passed_ = head_;", "    subscriber.passed_ = 0;"),
    ("an answer that comes late confirms nothing", "gateway/clients/fan_out.cpp",
     "    subscriber.confirmed_until_ = Monotonic::max(); // for", "    // for"),
    ("a channel is personal for as long as it is kept", "gateway/clients/fan_out.cpp",
     "            subscription.personal = again->personal;\n", ""),
    ("what is delivered unconfirmed is not counted", "gateway/clients/fan_out.cpp",
     "            count_unconfirmed(personal_of(subscriber, collected_));", "            ;"),
    ("who waits for a confirmation counts as a client that does not read", "gateway/clients/fan_out.cpp",
     "    if (subscriber.wants_confirmation_)\n        return; // it", "    if (false)\n        return; // it"),
    ("rows of the table wait for no confirmation", "gateway/clients/catch_up.cpp",
     "personal_elements(page) > 0 && feed_.fan_out.must_wait(subscriber_)", "false"),
    # clients that move between gateways
    ("what has a greater id than a moving client's last is taken for given", "gateway/clients/fan_out.cpp",
     "std::max(reached_.empty() ? 0 : reached_.back(), notification.ahead ? 0 : notification.id)",
     "notification.ahead ? 0 : notification.id"),
    ("a chosen id far ahead sends moving clients far back", "gateway/clients/fan_out.cpp",
     "notification.ahead ? 0 : notification.id", "notification.id"),
    ("a moving client's last counts as above itself", "gateway/clients/fan_out.cpp",
     "std::ranges::upper_bound(reached_, id)", "std::ranges::lower_bound(reached_, id)"),
    ("the gateway to which a client moves counts as the one that gave it its last", "gateway/clients/moved_clients.cpp",
     "    }\n    return false;\n", "    }\n    return true;\n"),
    ("a client that was cut before anything was given to it counts as at home", "gateway/clients/moved_clients.cpp",
     "return known->second != last;", "return true;"),
    ("a client that comes while another process takes over is known to both", "gateway/clients/moved_clients.cpp",
     "    handed_over_ = true;\n", ""),
    ("positions of the process before are not known after it", "gateway/http/gateway_cookie.cpp",
     "        this_process() = number;", "        (void)number;"),
    # where a client resumes
    ("a position that holds another id is believed", "gateway/clients/resume.cpp",
     " && fan_out.at(position).id == id;", ";"),
    ("a client that moves continues as if this gateway had given it its last", "gateway/clients/resume.cpp",
     "given_here ? *position : overlap(*position)", "*position"),
    ("each client that this gateway has named was given its last here", "gateway/clients/resume.cpp",
     "from_.mover ? moved_clients_.has_gone_on(from_.mover, last) : from_.named || !feed_.has_peers;", "true;"),
    ("what was read from the table was given here", "gateway/clients/resume.cpp",
     "if (!position || *position <= feed_.adopted_until)", "if (!position)"),
    ("a gateway that was started anew knows at once what it gave", "gateway/clients/resume.cpp",
     " + SETTLED);", ");"),
    ("two gateways dispatch at the same time", "gateway/clients/resume.cpp",
     "fan_out.before(time - OVERLAP)", "fan_out.before(time)"),
    ("a gateway that could not read dispatches what it has missed in another order", "gateway/clients/resume.cpp",
     "std::min(fan_out.before(time - OVERLAP), fan_out.before_ids_above(last))", "fan_out.before(time - OVERLAP)"),
    ("a client that is ahead of this gateway counts as new", "gateway/clients/resume.cpp",
     "(is_ahead ? OVERLAP : FIRST_SIGHT)", "FIRST_SIGHT"),
    ("a new client is given what is older than 50 s", "gateway/clients/resume.cpp",
     "now - (is_ahead ? OVERLAP : FIRST_SIGHT)", "now - (is_ahead ? OVERLAP : 2 * FIRST_SIGHT)"),
    ("a client is not told that its last is no id", "gateway/clients/resume.cpp",
     "subscribe.check_outdated && !is_id,", "false,"),
    ("a client is not told that it is outdated", "gateway/clients/resume.cpp",
     "is_known_id && subscribe.check_outdated.value_or(false),", "false,"),
    ("a channel that is added begins with what is new only", "gateway/clients/resume.cpp",
     "std::min(position.value_or(delivered), delivered)", "delivered"),
    ("a channel that is joined again lacks what the history has", "gateway/clients/resume.cpp",
     "    decision.history_from = subscriber.floor();\n", ""),
    ("a client is served that another process knows better", "gateway/clients/resume.cpp",
     "return moved_clients_.is_handed_over() && (needs_table || from_.mover != 0);", "(void)needs_table; return false;"),
    ("rows of the table are given that the history has, too", "gateway/clients/catch_up.cpp",
     "position && *position > decision_.history_from", "false"),
    ("a row that is still to be dispatched ends a catch-up", "gateway/clients/catch_up.cpp",
     [("if (state_ == State::first_page) {", "if (true) {"),
      ("after_undispatched(decision_.last", "after_undispatched(after_")]),
    ("what is dispatched during a catch-up overtakes it", "gateway/clients/catch_up.cpp",
     "    feed_.fan_out.hold(subscriber_);\n", ""),
    ("a page of the table is the last one", "gateway/clients/catch_up.cpp",
     "if (!page.more) {", "if (true) {"),
    ("a channel that is added sets back what the client was given", "gateway/clients/fan_out.cpp",
     "std::max(subscriber.delivered_, positions.back());", "positions.back();"),
    # one process takes over from another
    ("a process takes over although the other one has lost its patience", "gateway/take_over/link.cpp",
     "           static_cast<int>(bytes.size());", "           static_cast<int>(bytes.size()) || true;"),
    ("what waits for the other process overtakes what came before it", "gateway/take_over/link.cpp",
     "    queue_.push_back(std::move(message));", "    queue_.push_front(std::move(message));"),
    ("who has lost its patience does not hear what was decided before", "gateway/take_over/link.cpp",
     "        shutdown(socket, SHUT_RD);", "        end();"),
    ("what two processes tell each other may leave a position out", "gateway/protocol/database_event_bytes.h",
     "(*notifications)[i].position != notifications->front().position + i", "false"),
    ("a history may have a batch of nothing", "gateway/protocol/database_event_bytes.h",
     "            if (!batches.back())\n", "            if (false)\n"),
    ("a message that is longer than it says is believed", "gateway/base/bytes.h",
     "    bool is_whole() const { return !damaged_ && bytes_.empty(); }",
     "    bool is_whole() const { return !damaged_; }"),
    ("a message that is cut is believed", "gateway/base/bytes.h",
     "        if (length > bytes_.size())\n            refuse();\n", ""),
    ("moving clients are remembered without bound", "gateway/clients/moved_clients.cpp",
     "order_.size() > MAX_MOVERS", "false"),
    # the set of ids
    ("two neighbouring ranges are not joined", "gateway/ledger/id_set.cpp",
     "next != complete_.end() && next->first == last + 1", "false"),
    ("a complete chunk stays a bitmap", "gateway/ledger/id_set.cpp",
     "    if (std::ranges::all_of(bitmap, [](uint64_t word) { return word == ALL; }))\n", "    if (false)\n"),
    ("a range that is cut in two loses its second half", "gateway/ledger/id_set.cpp",
     "        if (to > last)\n            complete_.emplace(last + 1, to);\n", ""),
    ("removed ids are still counted", "gateway/ledger/id_set.cpp",
     "        size_ -= std::popcount(bits & it->second[word]);\n", ""),
    ("foreign bytes after a set are ignored", "gateway/ledger/id_set.cpp",
     "return count == 0 && bytes.empty();", "return count == 0;"),
    # the state file
    ("entries count before they are written", "gateway/ledger/order_ring.cpp",
     "    for (const Dispatched& entry : batch) {", "    publish_next(next);\n    for (const Dispatched& entry : batch) {"),
    ("entries are overwritten before they are given up", "gateway/ledger/order_ring.cpp",
     "    if (next - first_ > capacity_)\n        publish_first(next - capacity_);\n",
     ""),
    ("the order's entries are not checked", "gateway/ledger/order_ring.cpp",
     "if (entry.checksum != checksum(entry, position))", "if (false)"),
    ("an entry's checksum is that of any position", "gateway/ledger/order_ring.cpp",
     "file_id_ + position);", "file_id_);"),
    ("the order's header is not checked", "gateway/ledger/order_ring.cpp",
     "header.checksum != odoo_bus::fingerprint({memory.data(), offsetof(Header, checksum)}) ||", ""),
    ("the order's counters are not checked", "gateway/ledger/order_ring.cpp",
     "return word % PRIME == 1;", "return true;"),
    ("the order's format is not checked", "gateway/ledger/order_ring.cpp",
     "if (header.format != FORMAT || header.slot_bytes != sizeof(Slot)) {", "if (false) {"),
    ("the ledger's checksum is not checked", "gateway/ledger/checkpoint.cpp",
     "checksum != fingerprint(bytes) ||", ""),
    ("the ledger's format is not checked", "gateway/ledger/checkpoint.cpp",
     "if (head.format != FORMAT) {", "if (false) {"),
    ("a ledger of another order is trusted", "gateway/ledger/checkpoint.cpp",
     "if (head.file_id != file_id) {", "if (false) {"),
    ("an order that is older than its ledger is trusted", "gateway/ledger/state_file.cpp",
     "checkpoint->next < ring->first() || checkpoint->next > ring->next()", "checkpoint->next < ring->first()"),
    ("a checkpoint is not brought forward", "gateway/ledger/state_file.cpp",
     "        checkpoint->advance(", "        if (false) checkpoint->advance("),
    ("ids that are dispatched stay gaps", "gateway/ledger/checkpoint.cpp",
     "            gaps.remove(id);\n        } else {", "        } else {"),
    ("a chosen id far ahead opens gaps", "gateway/ledger/checkpoint.cpp",
     "if (is_ahead && id > max_seen) {", "if (false) {"),
    ("chosen ids that were passed become gaps", "gateway/ledger/checkpoint.cpp",
     "                gaps.remove(passed);\n", ""),
    ("a checkpoint is written over the former one", "gateway/ledger/state_file.cpp",
     'const Path fresh = with(ledger_, ".new");', "const Path fresh = ledger_;"),
    ("the ledger is kept when the order no longer reaches back to it", "gateway/ledger/state_file.cpp",
     "    if (batch.size() > room())\n        files_->forget_ledger();\n", ""),
    ("the order is replaced before its ledger", "gateway/ledger/state_file.cpp",
     "        failure = files->write_ledger(loaded->ledger);\n        if (failure.empty())\n            failure =",
     "        failure ="),
    ("damaged files are not set aside", "gateway/ledger/state_file.cpp",
     "            files->set_aside_all();\n", "            ;\n"),
    ("damaged files are kept without bound", "gateway/ledger/state_file.cpp",
     "while (n < MAX_DAMAGED &&", "while ("),
    ("two gateways share the files", "gateway/ledger/state_file.cpp",
     "if (flock(lock_.get(), LOCK_EX | LOCK_NB) != 0)", "if (false)"),
    ("no space is reserved", "gateway/ledger/state_file.cpp",
     "errno = posix_fallocate(fd, 0, static_cast<off_t>(OrderRing::bytes(capacity)));",
     "errno = ftruncate(fd, static_cast<off_t>(OrderRing::bytes(capacity)));"),
    # the order that gateways share: what Redis appends, and who may lead
    ("an entry is appended wherever its id is greater", ENGINE + "append_rule.h",
     "return head == previous && head < id;", "return head < id && previous <= id;"),
    ("the stream is replaced whatever it is by then", ENGINE + "append_rule.h",
     "return head == seen && head < newest;", "return head < newest && seen <= newest;"),
    ("what Redis has lost is not appended again", ENGINE + "stream_writer.cpp",
     "    if (edge.can_refill() && edge.log().knows(*head_))\n", "    if (false)\n"),
    ("any edge replaces the stream", ENGINE + "stream_writer.cpp",
     "right == Right::REPLACE || *head_ == NO_ENTRY", "true"),
    ("edges do not refill", ENGINE + "engine.cpp",
     "    else if (writer_.short_since() &&", "    else if (false && writer_.short_since() &&"),
    ("behind the end of a stream an edge waits for ever", ENGINE + "engine.cpp",
     "    if (redis_ != Redis::AWAY)\n        writer_.ask_head(commands_);", ""),
    ("a leader begins without a barrier", ENGINE + "leadership.cpp",
     "    keep({newest_, applied, {}, 0, entry::Barrier{.leader = settings_.name}});\n    phase_ = Phase::BARRIER;\n",
     "    newest_ = {newest_.epoch, applied.seq};\n    phase_ = Phase::LEADING;\n    commands.push_back(command::Lead{});\n"),
    ("the barrier of another leader counts", ENGINE + "leadership.cpp",
     "barrier && barrier->leader == settings_.name;", "barrier;"),
    ("any entry counts as the barrier", ENGINE + "leadership.cpp",
     "    if (!is_own_barrier(entry))\n        return check_again();\n", ""),
    ("a candidate does not wait for its own edge", ENGINE + "leadership.cpp",
     "        return Answer::WAIT; // the edge reads on\n", "        return Answer::LEAD;\n"),
    ("a leader goes on with the epoch before it", ENGINE + "leadership.cpp",
     "next_epoch(top, view.unix_ms, fingerprint(settings_.name))", "std::max(top, uint64_t{1})"),
    ("a later epoch is below one that Redis has lost", ENGINE + "entry_id.h", "unix_ms * EPOCH_STEP", "unix_ms"),
    ("a gateway that knows nothing leads at once", ENGINE + "leadership.cpp",
     "        return is_patient ? Answer::WAIT : Answer::LEAD;", "        return Answer::LEAD;"),
    ("a gateway leads that knows less than others", ENGINE + "leadership.cpp",
     [("view.others.can_lead > applied && (is_new || !is_patient)", "false"),
      ("view.others.applied > applied && is_patient", "false")]),
    ("a leader that was deposed goes on", ENGINE + "engine.cpp",
     [("leadership_.is_leading() && head.epoch > leadership_.epoch()", "false"),
      ("leadership_.is_leading() && entry->id.epoch > leadership_.epoch()", "false")]),
    ("what the leader could not append when Redis was lost is given to nobody", ENGINE + "engine.cpp",
     "    for (const EntryPtr& entry : leadership_.unsent())\n        apply(entry, now);\n", ""),
    ("what the leader cannot append is kept without bound", ENGINE + "engine.cpp",
     "    if (leadership_.is_overfull())\n", "    if (false)\n"),
    # LOCAL and MERGING
    ("what was given out ahead is given out again", ENGINE + "followed_database.cpp",
     "        return fingerprint == 0 || fingerprint == notification.fingerprint;", "        return false;"),
    ("another row under an id that was given out is left out", ENGINE + "followed_database.cpp",
     "        return fingerprint == 0 || fingerprint == notification.fingerprint;", "        (void)fingerprint;\n        return true;"),
    ("what was given out before a hole is given out again", ENGINE + "followed_database.cpp",
     "return given_ && has_decided(*given_, notification.id);", "return false;"),
    ("what was given out before a hole is not compared with what the order has", ENGINE + "followed_database.cpp",
     "    if (!given_)\n        return;\n    IdSet open", "    given_.reset();\n    if (!given_)\n        return;\n    IdSet open"),
    ("what is given out after a hole is read again", ENGINE + "followed_database.cpp",
     "        given_->advance(dispatched(*left));", "        (void)left;"),
    ("what is taken back is given out again", ENGINE + "followed_database.cpp",
     "        add_ahead(notification);\n        if (!ledger_)", "        if (!ledger_)"),
    ("what is taken back stays decided", ENGINE + "followed_database.cpp",
     "            ledger_->gaps.add(notification.id);", "            ;"),
    ("what has died stays ahead", ENGINE + "followed_database.cpp",
     "    std::erase_if(ahead_, [this](const auto& given) { return has_decided(*ledger_, given.first); });", ""),
    ("an edge follows before all that is ahead was published", ENGINE + "edge.cpp",
     "    if (!std::ranges::all_of(databases_, [](const auto& each) { return each.second.is_merged(); }))\n        return;\n", ""),
    ("a fork is taken for the chain", ENGINE + "edge.cpp",
     "        fork_at(entry.previous, now);\n", ""),
    ("a hole is taken for the chain", ENGINE + "edge.cpp",
     "is_hole = !is_next ||", "is_hole = is_next &&"),
    ("the table is not read in a hole", ENGINE + "edge.cpp",
     "    if (hole_ && !is_table_read_)\n        return false;\n", ""),
    ("what a gateway gave out before it followed any entry is the chain's", ENGINE + "edge.cpp",
     "(applied_ == NO_ENTRY && databases_.empty())", "applied_ == NO_ENTRY"),
    ("the table is not read where another gateway begins it anew", ENGINE + "edge.cpp",
     "is_hole = !is_next || (begins_anew(entry) && !is_own);", "is_hole = !is_next;"),
    ("who begins a database anew reads it for itself first", ENGINE + "engine.cpp",
     "edge_.apply(entry, now, leadership_.is_leading())", "edge_.apply(entry, now, false)"),
    ("where one database begins anew the ledgers of all are lost", ENGINE + "edge.cpp",
     "    if (!is_next)\n        for (auto&", "    if (!is_next || begins_anew(entry))\n        for (auto&"),
    ("a database is begun anew after what was not given out", ENGINE + "followed_database.h",
     "return ledger_ ? ledger_ : given(); }", "return ledger_; }"),
    ("the ledger before a hole is the one after it", ENGINE + "edge.cpp",
     "            database.lose_track();", "            (void)database;"),
    ("a deviation from which clients may come is forgotten with the next one", ENGINE + "edge.cpp",
     "is_forgotten ? from : std::min(deviation_.from, from)", "from"),
    ("the table is read while others trust that it is not", ENGINE + "engine.cpp",
     "!is_reading_tables_ && now - common_sent_ >= timing::LEASE", "!is_reading_tables_"),
    ("what was read is given out when the common order goes on", ENGINE + "engine.cpp",
     "    if (!is_reading_tables_)\n        return false;\n", ""),
    # the last of a client that moves between them
    ("a last that this gateway gave out in an order of its own is exact", ENGINE + "last_rule.cpp",
     "edge.deviation().has(entry)", "false"),
    ("a last that the other one gave out in an order of its own is exact", ENGINE + "last_rule.cpp",
     "question.former->deviation.has(entry)", "false"),
    ("a last that came from the table is exact", ENGINE + "last_rule.cpp",
     "entry <= question.former->oldest", "false"),
    ("a last of another chain is exact", ENGINE + "last_rule.cpp",
     "        return *has ? LastDecision::EXACT : LastDecision::OVERLAP;", "        return LastDecision::EXACT;"),
    ("a gateway is trusted when it was not heard of", ENGINE + "last_rule.cpp",
     "question.is_former_fresh &&", ""),
    ("a gateway is trusted with what Redis has lost", ENGINE + "last_rule.cpp",
     "question.head && entry <= *question.head && edge.log().knows(*question.head)", "true"),
    ("a gateway is trusted over a change of leader", ENGINE + "last_rule.cpp",
     "entry.epoch == question.former->applied.epoch)", "true)"),
    ("a gateway that has begun an order of its own is trusted", ENGINE + "last_rule.cpp",
     "!question.former->deviation.is_open &&", ""),
    ("a last that is not known yet is not waited for", ENGINE + "last_rule.cpp",
     "!question.head || edge.applied() < *question.head ? unsure", "false ? unsure"),
    ("a record is as old as it was seen", ENGINE + "edge_table.cpp",
     "    return now - sent < timing::GONE;", "    (void)sent;\n    return now - seen->changed < timing::GONE;"),
    ("a late record replaces a newer one", ENGINE + "edge_table.cpp",
     "record.sent <= seen.record.sent", "record.sent == seen.record.sent"),
    ("an entry without the key is believed", ENGINE + "entry.cpp",
     "if (seal ? !is_same(found, seal(sealed)) : !found.empty())", "if (false)"),
    ("an entry is believed under any id", ENGINE + "entry.cpp",
     "if (!what || what->id != id)", "if (!what)"),
]


def compile_object(tree, source, objects):
    target = objects / (source.replace("/", "-") + ".o")
    subprocess.run(["g++", "-std=c++20", "-O1", "-w", f"-I{tree}/gateway", f"-I{tree}/test/unit",
                    f"-I{ROOT}", "-c", f"{tree}/{source}", "-o", target], check=True)
    return target


def includes(source):
    """The headers of this project that a source includes, directly or not."""
    found, left = set(), [ROOT / source]
    while left:
        for name in re.findall(r'^#include "(.+)"', left.pop().read_text(), re.M):
            paths = [ROOT / part / name for part in ("gateway", "test/unit", "test/unit/ledger", "test/unit/engine") if (ROOT / part / name).exists()]
            left += paths if name not in found else []
            found.add(name)
    return found


def mutated(mutation):
    """The text of its file with the mutation in it. ValueError: the file has changed, so that it does not fit any more."""
    description, path, *change = mutation
    text = (ROOT / path).read_text()
    for old, new in change[0] if isinstance(change[0], list) else [tuple(change)]:
        if text.count(old) != 1:
            raise ValueError(f"mutation {description!r} does not fit any more: {text.count(old)} places have {old!r}")
        text = text.replace(old, new)
    return text


def tests_of(path):
    """Which tests are there to catch a mutation of this file."""
    path = pathlib.Path(path).relative_to("gateway")
    if path.stem == "id_set":
        return "IdSet*"
    if path.stem == "moved_clients":
        return "MovedClients*"
    if path.parts[0] == "take_over" or path.stem in ("bytes", "database_event_bytes"):
        return "TakeOver*:Bytes*:DatabaseEvent*"
    if path.stem == "gateway_cookie":
        return "GatewayCookie*"
    if path.stem == "fan_out":
        return "FanOut*:Resume*"
    if path.stem in ("resume", "catch_up"):
        return "Resume*:FanOutConfirmation*"
    if path.parts[0] == "engine":
        return "Engine*"
    return "*Ledger*:ReadCycle*" if path.stem in ("ledger", "read_cycle") else "StateFile*"


def run(binary, test_filter="*"):
    """The tests that failed, and how it ended."""
    try:
        done = subprocess.run([binary, f"--gtest_filter={test_filter}"], capture_output=True,
                              text=True, errors="replace", timeout=120)
    except subprocess.TimeoutExpired:
        return ["(never ends)"]
    failed = re.findall(r"^\[  FAILED  \] (\S+?)(?:,| \()", done.stdout, re.M)
    if done.returncode < 0:
        failed.append(re.findall(r"^\[ RUN      \] (\S+)", done.stdout, re.M)[-1] + " (crashes)")
    return list(dict.fromkeys(failed))


def main():
    word = sys.argv[1] if len(sys.argv) > 1 else ""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        objects = folder / "objects"
        objects.mkdir()
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            whole = dict(zip(SOURCES, pool.map(lambda s: compile_object(ROOT, s, objects), SOURCES)))

        def link(parts, binary):
            subprocess.run(["g++", "-o", binary, *parts.values(), "-lgtest", "-lgtest_main", "-lxxhash", "-lsodium",
                            "-ljansson", "-lfmt", "-luv", "-lpthread"],
                           check=True)
            return binary

        if failed := run(link(whole, folder / "unchanged")):
            sys.exit(f"tests fail without any mutation: {failed}")

        def attempt(number):
            description, path = MUTATIONS[number][:2]
            tree = folder / str(number)
            for part in ("gateway", "test/unit"):
                shutil.copytree(ROOT / part, tree / part)
            (tree / path).write_text(mutated(MUTATIONS[number]))
            header = path.removeprefix("gateway/") if path.endswith(".h") else None
            (tree / "objects").mkdir()
            parts = {source: compile_object(tree, source, tree / "objects")
                     if source == path or (header and header in includes(source)) else whole[source]
                     for source in SOURCES}
            return description, run(link(parts, tree / "tests"), tests_of(path))

        wanted = [n for n, mutation in enumerate(MUTATIONS) if word in mutation[0] or word in mutation[1]]
        survived = 0
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for description, failed in pool.map(attempt, wanted):
                survived += not failed
                # As a line of a table.
                tests = failed[:3] + (["..."] if len(failed) > 3 else [])
                print(f"| {description} | {', '.join(tests) if failed else 'NO TEST FAILS'} |", flush=True)
        print(f"{len(wanted) - survived} of {len(wanted)} mutations are caught")
        return survived != 0


if __name__ == "__main__":
    sys.exit(main())
