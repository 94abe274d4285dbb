// Opens files and directories whose content the gateway trusts: only its own user and root may have written
// them.
//
// Modes and owners are judged, of what was opened, and not whether this process may do something: root may do
// everything. Where other users may create files, one of them could lead the gateway to any file by a link.
#pragma once

#include <cstddef>
#include <string>

#include "base/descriptor.h"

namespace odoo_bus {

// The process that judges.
enum class Judge {
    gateway,
    command // root checks by it what belongs to the gateway's user
};

// A directory that only its owner can write to. Not open: `problem` is one sentence that names it.
Descriptor open_own_directory(const std::string& path, std::string& problem, Judge judge = Judge::gateway);

// A file in it, made with mode 0600; no link is followed. Not open: `problem` says why, and errno is ENOENT
// when there is none.
Descriptor open_own_file(int directory, const std::string& name, int flags, std::string& problem);

// Empty, or one sentence why other users can replace what is in the directory of this file.
std::string judge_directory_of(const std::string& path);

struct KeyFile {
    std::string text;
    bool is_private = false; // other users cannot read it; the group of a file of root can
    std::string problem;     // why it cannot be used, without its name
};

// A file that an administrator has provided, perhaps by a link.
KeyFile read_key_file(const std::string& path, size_t max_bytes);

// The remedy for a secret that is not private.
inline constexpr const char* MAKE_PRIVATE =
    "other users can read the secret in it: chmod 600, or 640 if root owns it";

} // namespace odoo_bus
