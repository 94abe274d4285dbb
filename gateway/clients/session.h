// One client's conversation, whatever the transport: its events, and its subscribes, one after the other.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "auth/authorizer.h"
#include "base/clock.h"
#include "clients/catch_up.h"
#include "clients/database_feed.h"
#include "clients/fan_out.h"
#include "clients/resume.h"
#include "http/admission.h"
#include "protocol/client_event.h"
#include "protocol/replay_answer.h"

namespace odoo_bus {

class Service;

// Owned by its Service, which also ends it: on_gone() there.
class Session : public Subscriber, public Client, private CatchUp::Owner {
public:
    Session(Service& service, Admission admission);
    ~Session() override;

    // The service owns it from now on.
    virtual void start() {}

    // One whole message of the client.
    void receive(std::string_view text);
    void subscribe(Subscribe subscribe);

    // The transport takes frames again.
    void on_writable();

    void fell_behind(std::string_view why) override;
    void want_confirmation() override;

    // Ends the connection with this code when what is being written has gone. Further calls change nothing.
    virtual void close(int code, std::string_view reason) = 0;

    // Another process has taken over: ends the connection so that the client comes back at once.
    virtual void come_back();
    bool was_sent_back() const { return stage_ == Stage::ending; }

    // What is held for it, as charged.
    const MemoryCharge& charge() const { return admission_.charge; }
    // To be called when what it holds has changed.
    void recharge();
    // Ends the connection, so that the client comes back later, and frees what it holds now.
    void shed();

    // About once a second: time-outs and slow clients.
    virtual void tick(Monotonic now) = 0;

    // Among all of its service, ever.
    uint64_t number() const { return number_; }
    Transport transport() const { return admission_.transport; }
    Monotonic connected_since() const { return connected_since_; }
    DatabaseFeed* feed() const { return feed_; }
    // Its database is not served any more: ends the connection.
    void forget_database();
    // The client knows elements without an id.
    bool knows_internal() const { return knows_internal_; }
    // Delivers what waits for a confirmation of the grant, if that is too late.
    void confirmation_is_overdue(Monotonic now);
    // Ends the connection when what it was granted is not valid any more.
    void check_grant(Monotonic now, WallTime date);

    void take_back(const Refusal& refusal) override;
    void regrant(const Grant& grant) override;
    bool confirmed(Monotonic until) override;
    void unconfirmed() override;
    Position received() const override { return delivered() == began_ ? 0 : delivered(); }

    // Tells a page that understands it that it has missed notifications for good.
    void tell_outdated() override;

protected:
    // What a session holds that is not hostile, and often much less.
    static constexpr size_t ORDINARY_BYTES = 32 << 10;

    // Codes of our own for close(), where the transport knows better ways to say it.
    static constexpr int MALFORMED = 4400;
    static constexpr int REFUSED = 4403;

    FrameShape shape() const;
    // The id up to which the client has everything; 0 when there is none.
    Id here() const;

    // What Set-Cookie is to say of this gateway; empty when the client knows it.
    std::string new_gateway_cookie() const;
    // And what it is to say of the session, whose id Odoo has changed; empty most of the time.
    std::string_view new_session_cookie() const;
    // From now on nothing is written, and the member is not present.
    void unsubscribe();
    // Odoo's own bus server serves the client from now on: what it says is not for receive().
    void hand_over();
    static void count_message();
    bool has_subscribed() const { return has_subscribed_; }

    // What only Odoo's own bus server understands, or what it is to be told if it serves the client later.
    // False when that server is not used for this client.
    virtual bool pass_on_subscribe(std::string_view) { return false; }
    virtual bool pass_on_event(std::string_view) { return false; }
    virtual void keep_for_odoo(std::string_view) {}

    // What the transport holds, the connection included; see recharge().
    virtual size_t transport_bytes() const = 0;
    // False when more must not be kept for it now. A session that holds little may always hold that.
    bool may_hold(size_t more) const {
        return admission_.charge.bytes() + more <= ORDINARY_BYTES || admission_.charge.may_add(more);
    }
    // Does not wait for a client that does not read; frees what the transport holds.
    virtual void close_at_once(int code, std::string_view reason) = 0;

    // A frame of one element without an id.
    virtual void write_internal(const std::string& frame) { write(frame); }
    // The client stays, and counts for presence.
    virtual bool is_present() const { return true; }
    // The channels have been granted.
    virtual void on_granted(const Grant&) {}
    // The client ends the connection by itself.
    void parted();
    // A subscribe is complete, and something was written for it or not.
    virtual void on_subscribed() {}
    // The subscribe was refused, and the former subscription is kept.
    virtual void on_refused(const Subscribe& subscribe);

    Service& service_;
    Admission admission_;

private:
    // Where its first pending subscribe is.
    enum class Stage : uint8_t {
        idle,        // there is none
        authorizing, // the authorizer was asked
        waiting,     // for the database to be read for the first time
        catching_up, // rows of the table come before the history
        handed_over, // Odoo's own bus server serves the client
        ending,      // the connection is, so that no subscribe counts any more
    };

    bool pass_on(const ClientEvent& event, std::string_view text);
    void next_subscribe();
    void decided(const Subscribe& subscribe, Decision decision);
    void refused(const Subscribe& subscribe, const Refusal& refusal);
    void refuse_database(const std::string& database);
    void granted(const Subscribe& subscribe, const Grant& grant);
    static size_t bytes_of(const Grant& grant);
    void count_granted(const Grant& grant);
    // Nothing is kept for it any more, and no subscribe counts.
    void release();
    void resume(const ResumeDecision& decision, const GrantedChannels& channels, bool is_first);
    void answered(const ReplayAnswer& page);
    void proceed(CatchUp::Progress progress);
    void observe_wait();
    void finish();
    void tell_presence(const Grant& grant);
    Resume resume() const;
    template <class Function>
    auto when_answered(Function function);

    // --- CatchUp::Owner ---
    void ask_table(Id last, const std::vector<std::string>& channels) override;
    void tell_last_id_reset(Id newest) override;

    const uint64_t number_;
    const Monotonic connected_since_ = MonotonicClock::now();
    DatabaseFeed* feed_ = nullptr;      // once a first subscribe was granted
    uint32_t fixed_bytes_;              // of the admission
    uint32_t granted_bytes_ = 0;        // of its channels, where they are kept
    std::vector<Subscribe> subscribes_; // that wait for the authorizer
    struct Granted {
        Subscribe subscribe;
        Grant grant;
    };
    std::unique_ptr<Granted> granted_; // waits for the database
    Stage stage_ = Stage::idle;
    bool knows_internal_ = false;
    bool has_subscribed_ = false;
    uint32_t question_ = 0;              // what was asked last: only its answer counts
    int end_code_ = 0;                   // when the grant ends
    WallTime expires_ = WallTime::max(); // the grant
    Monotonic renew_at_ = Monotonic::max();
    Monotonic waits_since_;            // when something last began to wait for a confirmation of the grant
    Position began_ = 0;               // where; 0 also when it was given rows from the table
    uint64_t present_ = 0;             // its number for presence.h, once it has told of a member
    std::optional<int64_t> confirm_;   // of the subscribe that is in progress
    std::vector<std::string> refused_; // and its names that were not granted
    std::unique_ptr<CatchUp> catch_up_;
};

} // namespace odoo_bus
