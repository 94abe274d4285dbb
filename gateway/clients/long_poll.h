// Long polling: POST /longpolling/poll, answered with what there is, or held until there is something; and
// POST /websocket/peek_notifications, which is never held (JSON-RPC, both as Odoo's).
#pragma once

#include "clients/http_session.h"

namespace odoo_bus {

class LongPoll final : public HttpSession {
public:
    LongPoll(Service& service, Admission admission);

    void start() override;
    bool writable() override { return !is_over(); }
    void want_writable() override {}
    void write(const std::string& frame) override;
    void come_back() override;

private:
    Response refusal(int code, std::string_view reason) const override;
    bool is_answering() const override { return false; }
    std::string farewell(int, std::string_view) const override { return {}; }
    void on_tick(Monotonic now) override;
    void write_internal(const std::string& frame) override;
    bool is_present() const override { return !peeks_; }
    void on_granted(const Grant& grant) override;
    void on_subscribed() override;
    void on_refused(const Subscribe& subscribe) override;
    Response error(int code, std::string_view message, std::string_view name) const;
    // `elements`: without the brackets.
    void answer(std::string_view elements);

    Monotonic until_;
    std::string id_;       // of the JSON-RPC request, as JSON
    std::string internal_; // elements that wait for the answer
    std::string channels_; // that were granted, for a peek
    bool peeks_;
    bool confirms_ = false;
    bool subscribed_ = false;
};

} // namespace odoo_bus
