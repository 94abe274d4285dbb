// The name of this gateway: random, and written down at its first start.
#include "server/gateway_id.h"

#include <random>
#include <string_view>

#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include "base/log.h"
#include "base/trusted_file.h"

namespace odoo_bus {

namespace {

constexpr const char* NAME = "gateway-id";
constexpr size_t LENGTH = 32;

bool is_id(const std::string& text) {
    return text.size() == LENGTH && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

// The id in its file; empty if there is none.
std::string read_id(int directory) {
    std::string why, id(LENGTH, '\0');
    const Descriptor file = open_own_file(directory, NAME, O_RDONLY, why);
    const ssize_t length = file ? read(file.get(), id.data(), id.size()) : 0;
    id.resize(length > 0 ? static_cast<size_t>(length) : 0);
    return is_id(id) ? id : "";
}

// Empty, or why it could not be written.
std::string write_id(int directory, const std::string& id) {
    std::string why;
    unlinkat(directory, NAME, 0);
    const Descriptor file = open_own_file(directory, NAME, O_WRONLY | O_CREAT | O_EXCL, why);
    const std::string line = id + "\n";
    if (file && write(file.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size()))
        return "its disk is full";
    return file ? "" : why;
}

} // namespace

std::string gateway_id(const std::string& state_dir, const std::string& inherited) {
    std::string why;
    const Descriptor directory = state_dir.empty() ? Descriptor() : open_own_directory(state_dir, why);
    if (directory)
        if (std::string id = read_id(directory.get()); !id.empty() && (inherited.empty() || inherited == id))
            return id;
    std::random_device random;
    const std::string id =
        is_id(inherited) ? inherited
                         : fmt::format("{:08x}{:08x}{:08x}{:08x}", random(), random(), random(), random());
    if (directory)
        why = write_id(directory.get(), id);
    if (!why.empty())
        log::warning("{} cannot be written ({}): after a restart clients may be sent again what they have",
                     state_dir + "/" + NAME, why);
    return id;
}

} // namespace odoo_bus
