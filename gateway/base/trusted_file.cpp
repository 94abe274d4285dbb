// Opens files and directories whose content the gateway trusts.
#include "base/trusted_file.h"

#include <cerrno>
#include <cstring>
#include <filesystem>

#include <fcntl.h>
#include <sys/stat.h>

namespace odoo_bus {

namespace {

constexpr mode_t WRITTEN_BY_OTHERS = S_IWGRP | S_IWOTH;

bool is_ours(const struct stat& status) {
    return status.st_uid == geteuid() || status.st_uid == 0;
}

} // namespace

Descriptor open_own_directory(const std::string& path, std::string& problem, Judge judge) {
    // Links of an administrator lead to another disk, and systemd makes some.
    struct stat link = {};
    if (lstat(path.c_str(), &link) == 0 && S_ISLNK(link.st_mode) && !is_ours(link)) {
        problem = path + " is a symbolic link of another user: remove it";
        return Descriptor();
    }
    Descriptor directory(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    struct stat status = {};
    if (!directory || fstat(directory.get(), &status) != 0)
        problem = path + ": " + strerror(errno);
    else if (!is_ours(status) && !(judge == Judge::command && geteuid() == 0))
        problem = path + " belongs to another user: let the gateway's user own it";
    else if ((status.st_mode & WRITTEN_BY_OTHERS) != 0)
        problem = "other users can write to " + path + ": chmod 700";
    else
        return directory;
    return Descriptor();
}

Descriptor open_own_file(int directory, const std::string& name, int flags, std::string& problem) {
    // O_NONBLOCK: the other end of a pipe is not waited for.
    Descriptor file(openat(directory, name.c_str(), flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
                           S_IRUSR | S_IWUSR));
    struct stat status = {};
    if (!file || fstat(file.get(), &status) != 0) {
        problem = errno == ELOOP ? "it is a symbolic link" : strerror(errno);
        return Descriptor();
    }
    if (!S_ISREG(status.st_mode))
        problem = "it is not a regular file";
    else if (!is_ours(status))
        problem = "it belongs to another user";
    else if ((status.st_mode & WRITTEN_BY_OTHERS) != 0)
        problem = "other users can write to it";
    else
        return file;
    errno = EPERM;
    return Descriptor();
}

std::string judge_directory_of(const std::string& path) {
    const std::string directory = std::filesystem::path(path).parent_path();
    struct stat status = {};
    if (stat(directory.c_str(), &status) != 0 || (status.st_mode & WRITTEN_BY_OTHERS) == 0 ||
        (status.st_mode & S_ISVTX) != 0)
        return {};
    return "other users can replace what is in " + directory + ": chmod 755";
}

KeyFile read_key_file(const std::string& path, size_t max_bytes) {
    KeyFile key;
    const Descriptor file(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    struct stat status = {};
    if (!file || fstat(file.get(), &status) != 0) {
        key.problem = strerror(errno);
        return key;
    }
    if (!S_ISREG(status.st_mode))
        key.problem = "it is not a regular file";
    else if (!is_ours(status) && geteuid() != 0)
        key.problem = "it belongs to another user: let root or the gateway's user own it";
    else if ((status.st_mode & WRITTEN_BY_OTHERS) != 0)
        key.problem = "other users can write to it: chmod 644 or less";
    else if (static_cast<size_t>(status.st_size) > max_bytes)
        key.problem = "it is larger than " + std::to_string(max_bytes) + " bytes";
    if (!key.problem.empty())
        return key;
    key.is_private = (status.st_mode & (status.st_uid == 0 ? S_IRWXO : S_IRWXG | S_IRWXO)) == 0;
    key.text.resize(max_bytes);
    size_t length = 0;
    ssize_t count = 0;
    while (length < max_bytes && (count = read(file.get(), key.text.data() + length, max_bytes - length)) > 0)
        length += static_cast<size_t>(count);
    if (count < 0)
        key.problem = strerror(errno);
    key.text.resize(length);
    return key;
}

} // namespace odoo_bus
