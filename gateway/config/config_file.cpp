// The configuration file.
#include "config/config_file.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include <spdlog/fmt/fmt.h>

#include "base/text.h"

namespace odoo_bus {

namespace {

constexpr size_t MAX_FILE_BYTES = 1 << 20;

// The line ends of other systems count as white space.
std::string_view trimmed(std::string_view text) {
    return trim(text, " \t\r");
}

bool read_whole(const std::string& path, std::string& content, std::string& error) {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "re"), &std::fclose);
    if (file)
        content.resize(MAX_FILE_BYTES + 1);
    content.resize(file ? std::fread(content.data(), 1, content.size(), file.get()) : 0);
    if (!file || std::ferror(file.get())) {
        error = fmt::format("cannot read {}: {}; give --config an existing, readable file", path,
                            std::strerror(errno));
        return false;
    }
    if (content.size() > MAX_FILE_BYTES) {
        error = fmt::format("{} is larger than 1 MiB; give --config a configuration file", path);
        return false;
    }
    return true;
}

} // namespace

bool read_config_file(const std::string& path, std::vector<ConfigLine>& lines, std::string& error) {
    std::string content;
    if (!read_whole(path, content, error))
        return false;
    std::string_view left = content;
    for (unsigned number = 1; !left.empty(); ++number) {
        const size_t newline = left.find('\n');
        const std::string_view line = trimmed(left.substr(0, newline));
        left.remove_prefix(newline == left.npos ? left.size() : newline + 1);
        if (line.empty() || line[0] == '#')
            continue;
        const size_t equals = line.find('=');
        if (equals == line.npos || line.find('\0') != line.npos || trimmed(line.substr(0, equals)).empty()) {
            error = fmt::format("{} line {} is not an option; write name = value", path, number);
            return false;
        }
        lines.push_back({std::string(trimmed(line.substr(0, equals))),
                         std::string(trimmed(line.substr(equals + 1))), number});
    }
    return true;
}

} // namespace odoo_bus
