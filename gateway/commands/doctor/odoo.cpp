// Odoo's own HTTP port: whether it answers, and for which database.
#include "commands/doctor/groups.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include "auth/odoo/odoo_answer.h"
#include "auth/odoo/odoo_request.h"
#include "auth/odoo/worker_version.h"
#include "commands/server_connection.h"
#include "commands/websocket_client.h"
#include "http/requester.h"
#include "postgres/conninfo.h"
#include "protocol/close_codes.h"

namespace odoo_bus::doctor {

namespace {

constexpr size_t ROTATING_ID_BYTES = 84; // since 19.0; 40 before

Endpoint endpoint_of(const OdooUrl& url) {
    Endpoint endpoint;
    endpoint.address = url.host;
    endpoint.port = url.port;
    endpoint.host = url.text().substr(std::string_view("http://").size());
    return endpoint;
}

// A browser without a session that opens --url, as the proxy describes it.
Requester anonymous(const DoctorOptions& options, const Endpoint& odoo) {
    Requester requester;
    requester.host = requester.sent_host = options.proxy ? options.proxy->host : odoo.host;
    if (options.proxy) {
        requester.forwarded_host = requester.host;
        requester.forwarded_proto = options.proxy->tls ? "https" : "http";
        requester.forwarded_for = "127.0.0.1";
    }
    requester.user_agent = "odoo-bus-gateway doctor";
    return requester;
}

bool examine_health(const Endpoint& odoo, const Requester& requester, Report& report) {
    std::string problem;
    const auto answer = exchange(odoo, get_request("/websocket/health", requester), problem);
    // Without a database it answers 404, which examine_choice() reports.
    if (answer && answer->status() < 500) {
        report.ok("odoo.reachable", fmt::format("Odoo answers at {}", odoo.origin()));
        return true;
    }
    if (answer)
        problem = fmt::format("it answers /websocket/health with {}", answer->status());
    report.failed("odoo.reachable", fmt::format("Odoo does not answer at {}: {}", odoo.origin(), problem),
                  "start Odoo, or correct --odoo-url: it is Odoo's own HTTP port (http_port), 17.0 or later");
    return false;
}

// True when Odoo selects a database that is served.
bool examine_choice(const Endpoint& odoo, const Requester& requester,
                    const std::vector<std::string>& databases, Report& report) {
    const char* const name = "odoo.database";
    const auto fail = [&](std::string found) {
        report.failed(name, std::move(found),
                      "let Odoo's dbfilter leave one database for this host (db_name, dbfilter, and "
                      "proxy_mode = True when it names the host), and serve that one with --database");
        return false;
    };
    std::string problem;
    const auto answer = exchange(
        odoo, post_request("/websocket/peek_notifications", requester, "", peek_body({}, 0, true)), problem);
    if (!answer)
        return fail("Odoo does not say which database it selects: " + problem);
    const PeekAnswer peek = read_peek(*answer);
    if (std::holds_alternative<NoDatabase>(peek))
        return fail(fmt::format("Odoo cannot select a database for connections to {}", requester.host));
    if (const auto* trouble = std::get_if<Unavailable>(&peek))
        return fail("Odoo does not say which database it selects: " + trouble->reason);
    const auto* grant = std::get_if<Grant>(&peek);
    if (!grant)
        return fail("Odoo refuses connections without a session");
    std::string error;
    const bool is_ours = databases.empty() || // PostgreSQL's failure is reported
                         std::ranges::any_of(databases, [&](const std::string& conninfo) {
                             return database_of(conninfo, error) == grant->database;
                         });
    if (!is_ours)
        return fail(fmt::format("for connections to {} Odoo selects the database \"{}\", which is not served",
                                requester.host, grant->database));
    report.ok(name, fmt::format("for connections to {} Odoo selects the database \"{}\"", requester.host,
                                grant->database));
    const auto session = session_set_by(*answer);
    if (session)
        report.ok("odoo.sessions", session->size() >= ROTATING_ID_BYTES
                                       ? "this Odoo changes the ids of old sessions; browsers get the new one"
                                       : "this Odoo keeps the ids of sessions");
    return true;
}

// Odoo does not publish it, but its module website puts the address by which it was requested into
// robots.txt.
void examine_proxy_mode(const Endpoint& odoo, Requester requester, Report& report) {
    const char* const name = "odoo.proxy-mode";
    constexpr std::string_view SITEMAP = "Sitemap: ", PATH = "sitemap.xml";
    requester.sent_host = odoo.host;
    requester.forwarded_host = requester.host;
    requester.forwarded_proto = "https"; // which no Odoo speaks itself
    requester.forwarded_for = "127.0.0.1";
    std::string problem;
    const auto answer = exchange(odoo, get_request("/robots.txt", requester), problem);
    const std::string text = answer && answer->status() == 200 ? answer->body() : "";
    const size_t begin = text.find(SITEMAP);
    const size_t end = begin == text.npos ? begin : text.find(PATH, begin);
    const std::string root =
        end == text.npos ? "" : text.substr(begin + SITEMAP.size(), end - begin - SITEMAP.size());
    // Requested by another host than the website's domain, it disallows everything and names the domain.
    const bool is_elsewhere = begin != text.npos && text.rfind("Disallow: /\n", begin) != text.npos;
    const bool is_off =
        is_elsewhere ? root == "https://" + requester.host + "/" || root == "http://" + requester.host + "/"
                     : root == "http://" + requester.sent_host + "/";
    if (is_off)
        return report.failed(
            name,
            fmt::format("Odoo does not trust its proxy: requested as https://{}, it takes "
                        "itself for http://{}",
                        requester.host, requester.sent_host),
            "set proxy_mode = True in Odoo's configuration: links, dbfilter and the addresses of "
            "connections come from the proxy's headers then");
    const bool is_on = !is_elsewhere && root == "https://" + requester.host + "/";
    report.ok(name, is_on ? "Odoo trusts its proxy (proxy_mode)"
                          : "unknown whether proxy_mode is on: only Odoo's module website shows it");
}

void examine_worker_version(const Endpoint& odoo, const Requester& requester, const std::string& setting,
                            Report& report) {
    const char* const name = "odoo.worker-version";
    if (setting == "off")
        return report.ok(name, "not checked (--worker-version off)");
    std::string problem;
    const auto page = exchange(odoo, get_request("/web/login", requester), problem);
    const auto version = page ? WorkerVersion::find(page->body()) : std::nullopt;
    if (setting != "auto" && version && *version != setting)
        return report.failed(name,
                             fmt::format("Odoo's pages have version {}, and --worker-version is {}: every "
                                         "page is told to reload, again and again",
                                         *version, setting),
                             "leave --worker-version out, or set it to " + *version);
    report.ok(name, version ? "Odoo's pages have version " + *version
                            : "the login page names none: no page is told to reload");
}

// Whether the gateway sees a logout by the session's file, or has to ask.
void examine_logout(const std::string& data_dir, Report& report) {
    const char* const name = "odoo.logout";
    if (data_dir.empty())
        return report.ok(name,
                         "a logout ends a session's connections when the gateway asks Odoo next; with "
                         "--odoo-data-dir, where the gateway can read Odoo's data_dir, within a second");
    const std::string sessions = data_dir + "/sessions";
    if (access(sessions.c_str(), R_OK | X_OK) == 0)
        return report.ok(name,
                         fmt::format("a logout ends a session's connections: {} can be watched", sessions));
    report.failed(name, fmt::format("{} cannot be watched: {}", sessions, strerror(errno)),
                  "let --odoo-data-dir name Odoo's data_dir, and add the gateway's user to the group of the "
                  "session files; or leave the option out, and Odoo is asked instead");
}

// Whether clients that say what only Odoo's own bus server understands can be connected to it.
void examine_websocket(const Options& options, Report& report) {
    const char* const name = "odoo.websocket";
    if (!options.odoo_websocket)
        return report.ok(name, "--odoo-websocket is not set: what IoT boxes, self-order kiosks and events of "
                               "modules say to Odoo's own bus server is dropped, with a warning in the log");
    const OdooUrl& url = *options.odoo_websocket;
    const auto opened = WebSocketClient::open(endpoint_of(url));
    if (opened.socket) {
        opened.socket->send_close(close_code::NORMAL);
        return report.ok(name, fmt::format("Odoo's bus server opens a WebSocket at {}", url.text("ws")));
    }
    report.failed(
        name, fmt::format("Odoo's bus server opens no WebSocket at {}: {}", url.text("ws"), opened.problem),
        "start Odoo's gevent worker (workers above 0), or correct --odoo-websocket: it is gevent_port, 8072 "
        "by default");
}

void examine_gevent(const DoctorOptions& options, Report& report) {
    const auto& needed = options.gateway.odoo_websocket;
    if (options.gevent_port == 0 || (needed && needed->port == options.gevent_port))
        return;
    Endpoint gevent = endpoint_of(options.gateway.odoo_url);
    gevent.port = options.gevent_port;
    std::string problem;
    const auto answer = get(gevent, "/websocket/health", problem);
    // Without a database Odoo answers 404; there should be no answer at all.
    if (!answer)
        return report.ok("odoo.gevent", fmt::format("no bus server answers at port {}", gevent.port));
    report.warning("odoo.gevent",
                   fmt::format("a server still answers at port {} of {}", gevent.port, gevent.address),
                   "when no proxy points there any more, stop it: start Odoo without its gevent worker, or "
                   "close the port to the outside; --gevent-port 0 if it is to stay");
}

} // namespace

void examine_odoo(const DoctorOptions& options, const std::vector<std::string>& databases, Report& report) {
    const Endpoint odoo = endpoint_of(options.gateway.odoo_url);
    const Requester requester = anonymous(options, odoo);
    if (examine_health(odoo, requester, report) && examine_choice(odoo, requester, databases, report)) {
        examine_worker_version(odoo, requester, options.gateway.worker_version, report);
        if (options.proxy)
            examine_proxy_mode(odoo, requester, report);
    }
    examine_logout(options.gateway.odoo_data_dir, report);
    examine_websocket(options.gateway, report);
    examine_gevent(options, report);
}

} // namespace odoo_bus::doctor
