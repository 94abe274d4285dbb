// The HTTP client for Odoo: one HTTP/1.1 request on one connection, since Odoo's prefork workers keep none
// open.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>

#include <uv.h>

#include "base/timer.h"
#include "config/odoo_url.h"
#include "http/http_answer.h"

namespace odoo_bus {

class OdooClient {
public:
    // `answer` is complete, or null, and `problem` says why.
    using OnAnswer = std::function<void(const HttpAnswer* answer, const std::string& problem)>;

    OdooClient(uv_loop_t* loop, OdooUrl url);
    ~OdooClient(); // drops pending requests without calling back
    OdooClient(const OdooClient&) = delete;
    OdooClient& operator=(const OdooClient&) = delete;

    // Sends the request to the first address of the host that can be connected to. Calls back once, never
    // from within this call.
    void ask(std::string request, uint64_t timeout_ms, HttpAnswer::Bounds bounds, OnAnswer on_answer);

private:
    class Call;

    uv_loop_t* const loop_;
    const OdooUrl url_;
    std::unordered_map<Call*, std::unique_ptr<Call>> calls_;
};

} // namespace odoo_bus
