// Server-sent events: GET or POST /bus/events, a stream that goes on until one side ends it (HTML,
// section 9.2).
#pragma once

#include "clients/http_session.h"

namespace odoo_bus {

class EventStream final : public HttpSession {
public:
    EventStream(Service& service, Admission admission);

    void start() override;

    void write(const std::string& frame) override;
    void come_back() override;

private:
    bool is_answering() const override { return begun_; }
    std::string farewell(int code, std::string_view reason) const override;
    void on_tick(Monotonic now) override;
    void on_subscribed() override;
    void on_refused(const Subscribe& subscribe) override;
    void begin();

    Monotonic written_;
    Monotonic expires_;
    Id told_ = 0; // the position that the client was told last
    bool begun_ = false;
};

} // namespace odoo_bus
