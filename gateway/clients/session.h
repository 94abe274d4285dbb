// One client's conversation, whatever the transport: its subscribe events in order, and where it goes on.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "auth/authorizer.h"
#include "clients/database_feed.h"
#include "clients/fan_out.h"
#include "http/admission.h"
#include "protocol/client_event.h"
#include "protocol/replay_answer.h"

namespace odoo_bus {

class Service;

class Session : public Subscriber, public Client {
public:
    Session(Service& service, Admission admission);
    ~Session() override;

    // One whole message of the client.
    void receive(std::string_view text);
    void subscribe(Subscribe subscribe);

    // The transport takes frames again.
    void on_writable();

    void fell_behind(std::string_view why) override;

    // Ends the connection with this code when what is being written has gone. Further calls change nothing.
    virtual void close(int code, std::string_view reason) = 0;

    // Another process has taken over: ends the connection so that the client comes back at once.
    virtual void come_back();
    bool was_sent_back() const { return sent_back_; }

    // Does not wait for a client that does not read.
    virtual void close_at_once(int code, std::string_view reason) { close(code, reason); }
    // About what would be free without it, but for the connection itself.
    virtual size_t held_bytes() const { return 0; }

    // About once a second: time-outs and slow clients.
    virtual void tick(Monotonic now) = 0;

    DatabaseFeed* feed() { return feed_; }
    // Its database is not served any more: ends the connection.
    void forget_database();
    // The client knows elements without an id.
    bool knows_internal() const { return knows_internal_; }
    // Ends the connection when what it was granted is not valid any more.
    void check_grant(Monotonic now, WallTime date);

    void take_back(const Refusal& refusal) override;
    void regrant(const Grant& grant) override;
    Position received() const override { return delivered() == began_ ? 0 : delivered(); }

    // Tells a page that understands it that it has missed notifications for good.
    void tell_outdated();

protected:
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
    // From now on nothing is written, and nobody is present.
    void unsubscribe();

    // A frame of one element without an id.
    virtual void write_internal(const std::string& frame) { write(frame); }
    // Whoever is at the other end is there, and not only to look.
    virtual bool is_present() const { return true; }
    // The channels have been granted.
    virtual void on_granted(const Grant&) {}
    // The client ends the connection by itself.
    void parted();
    // A subscribe has been worked off, and something was written for it or not.
    virtual void on_subscribed() {}
    // The subscribe was refused, and the former subscription is kept.
    virtual void on_refused(const Subscribe& subscribe);

    Service& service_;

    static constexpr int COME_BACK = 4002; // within a second, as after Odoo's keep-alive time

private:
    void next_subscribe();
    void finish();
    void decided(const Subscribe& subscribe, Decision decision);
    void refuse_database(const std::string& database);
    void place(const Subscribe& subscribe, const Grant& grant);
    void begin(const Subscribe& subscribe, const Grant& grant);
    void add(const Subscribe& subscribe, const Grant& grant);
    void begin_at(Position position, const Grant& grant);
    bool judge_last(const Subscribe& subscribe);
    void replay(Id last, const Grant& grant, bool check_outdated);
    void go_on_from_another(Id last, const Grant& grant);
    void replayed(const ReplayAnswer& answer, const Grant& grant);
    void write_elements(const ReplayAnswer& answer);
    void tell_presence(const Grant& grant);
    bool is_given_here(Id last) const;
    bool is_at(Position position, Id id) const;
    bool is_ambiguous(Position position) const;
    bool belongs_to_successor(bool needs_table) const;
    Position overlap(Position position) const;
    Position before_both(Id last, Monotonic time) const;
    template <class Function>
    auto if_alive(Function function);

    friend class Service;

    const Admission admission_;
    size_t place_ = 0;                  // among the sessions of service_
    DatabaseFeed* feed_ = nullptr;      // once it is subscribed
    std::vector<Subscribe> subscribes_; // the first one is being worked on when busy_
    bool busy_ = false;
    bool subscribed_ = false; // a first subscribe was granted
    bool knows_internal_ = false;
    bool sent_back_ = false;             // come_back() was called
    Position began_ = 0;                 // where; 0 also when it was given rows from the table
    WallTime expires_ = WallTime::max(); // the grant
    Monotonic renew_at_ = Monotonic::max();
    int end_code_ = 0;
    uint64_t present_ = 0;             // its number for presence.h, once it has told of a member
    std::optional<int64_t> confirm_;   // of the subscribe that is being worked on
    std::vector<std::string> refused_; // and its names that were not granted
    std::function<void()> next_page_;  // of a replay, when the transport takes it
    bool adding_ = false;              // the replay is of channels that were added
    Position history_from_ = 0;        // and what came up to here comes from the table, too
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

} // namespace odoo_bus
