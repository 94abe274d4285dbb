// The name of this gateway: random, and written down at its first start.
#include "server/gateway_id.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>

#include <spdlog/fmt/fmt.h>

#include "base/log.h"

namespace odoo_bus {

namespace {

bool is_id(const std::string& text) {
    return text.size() == 32 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

} // namespace

std::string gateway_id(const std::string& state_dir, const std::string& inherited) {
    const std::filesystem::path path = std::filesystem::path(state_dir) / "gateway-id";
    std::string id;
    if (!state_dir.empty() && std::ifstream(path) >> id && is_id(id) &&
        (inherited.empty() || inherited == id))
        return id;
    std::random_device random;
    id = is_id(inherited) ? inherited
                          : fmt::format("{:08x}{:08x}{:08x}{:08x}", random(), random(), random(), random());
    if (!state_dir.empty() && !(std::ofstream(path) << id << std::endl))
        log::warning("{} cannot be written ({}): after a restart clients may be sent again what they have",
                     path.string(), strerror(errno));
    return id;
}

} // namespace odoo_bus
