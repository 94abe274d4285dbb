// Requests of commands to a running gateway's --metrics-listen.
#include "commands/metrics_request.h"

#include "commands/server_connection.h"
#include "http/bearer_token.h"

namespace odoo_bus {

std::optional<HttpAnswer> get_metrics(const Options& options, std::string& problem) {
    std::string header;
    if (!options.metrics_token_file.empty()) {
        const std::string token = read_bearer_token(options.metrics_token_file, problem);
        if (token.empty()) {
            problem = "--metrics-token-file " + problem;
            return std::nullopt;
        }
        header = "Authorization: Bearer " + token + "\r\n";
    }
    return get(Endpoint::of(options.metrics_listen.front()), "/metrics", problem, header);
}

} // namespace odoo_bus
