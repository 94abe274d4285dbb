// The threads of a gateway, and what they share. Each is set once, by Gateway::start().
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "auth/auth_backend.h"
#include "clients/moved_clients.h"
#include "clients/service.h"
#include "database/database_thread.h"
#include "presence/presence.h"
#include "server/http_server.h"
#include "server/metrics_server.h"

namespace odoo_bus {

struct GatewayParts {
    std::string id;
    std::shared_ptr<MovedClients> moved_clients = std::make_shared<MovedClients>();
    std::unique_ptr<AuthBackend> auth_backend;
    std::unique_ptr<Presence> presence; // null when it is not kept
    std::vector<std::unique_ptr<Service>> services;
    std::unique_ptr<DatabaseThread> database_thread;
    std::unique_ptr<HttpServer> http_server;
    std::unique_ptr<MetricsServer> metrics_server;

    // Clients are accepted from now on.
    void serve() const {
        auth_backend->begin();
        if (presence)
            presence->start();
        http_server->start();
        metrics_server->start();
    }
    // Clients that are connected now.
    size_t connections() const {
        size_t connections = 0;
        for (const auto& service : services)
            connections += service->connections();
        return connections;
    }
};

} // namespace odoo_bus
