// Requests of commands to a running gateway's --metrics-listen.
#include "commands/metrics_request.h"

#include <spdlog/fmt/fmt.h>

#include "base/log.h"
#include "base/text.h"
#include "http/bearer_token.h"

namespace odoo_bus {

std::optional<HttpAnswer> get_metrics(const Options& options, std::string_view path, std::string& problem,
                                      const ConnectionSettings& settings) {
    std::string header;
    if (!options.metrics_token_file.empty()) {
        const std::string token = read_bearer_token(options.metrics_token_file, problem);
        if (token.empty()) {
            problem = "--metrics-token-file " + problem;
            return std::nullopt;
        }
        header = "Authorization: Bearer " + token + "\r\n";
    }
    return get(Endpoint::of(options.metrics_listen.front()), path, problem, header, settings);
}

std::string judge(const std::optional<HttpAnswer>& answer, const Options& options,
                  const std::string& problem) {
    const std::string where = options.metrics_listen.front().text();
    if (!answer)
        return fmt::format("no response at {}: {}; is the gateway running?", where, problem);
    if (answer->status() == 401)
        return fmt::format("{} requires the token of the running gateway's --metrics-token-file", where);
    if (answer->status() != 200)
        return fmt::format("{} answered {}: {}", where, answer->status(),
                           log::printable(trim(answer->body(), "\r\n")));
    return {};
}

} // namespace odoo_bus
