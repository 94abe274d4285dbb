// Watches Odoo's session files.
#include "auth/odoo/session_watch.h"

#include <filesystem>

#include "auth/odoo/odoo_request.h"
#include "base/log.h"

namespace odoo_bus {

namespace {

// Odoo has one for each first two characters of an id: 64 times 64.
constexpr size_t MAX_DIRECTORIES = 5'000;

} // namespace

SessionWatch::SessionWatch(uv_loop_t* loop, const std::string& data_dir,
                           std::function<void(const std::string&)> gone)
    : loop_(loop), root_(data_dir + "/sessions"), gone_(std::move(gone)) {
    if (!watch(root_)) {
        log::warning(
            "{} cannot be watched: a logout is seen at the next check; is --odoo-data-dir Odoo's data_dir, "
            "and may the gateway read it?",
            root_);
        return;
    }
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(root_, error))
        if (entry.is_directory(error))
            watch(entry.path().string());
    log::info("watching session files in {} ({} directories)", root_, directories_.size());
}

SessionWatch::~SessionWatch() {
    for (const auto& [path, directory] : directories_) {
        directory->owner = nullptr;
        uv_close(reinterpret_cast<uv_handle_t*>(&directory->handle),
                 [](uv_handle_t* closed) { delete static_cast<Directory*>(closed->data); });
    }
}

bool SessionWatch::watch(const std::string& path) {
    if (directories_.contains(path))
        return false;
    if (directories_.size() >= MAX_DIRECTORIES) {
        complete_ = false;
        return false;
    }
    auto* const directory = new Directory{.handle = {}, .owner = this, .path = path};
    uv_fs_event_init(loop_, &directory->handle);
    directory->handle.data = directory;
    const int error = uv_fs_event_start(
        &directory->handle,
        [](uv_fs_event_t* handle, const char* name, int events, int status) {
            const auto* const seen = static_cast<Directory*>(handle->data);
            if (seen->owner && status == 0 && name && (events & UV_RENAME))
                seen->owner->changed(*seen, name);
        },
        path.c_str(), 0);
    if (error != 0) {
        complete_ &= error == UV_ENOENT && path != root_; // it has gone again
        uv_close(reinterpret_cast<uv_handle_t*>(&directory->handle),
                 [](uv_handle_t* closed) { delete static_cast<Directory*>(closed->data); });
        return false;
    }
    directories_[path] = directory;
    return true;
}

// A file or directory of this name was created or removed.
void SessionWatch::changed(const Directory& directory, const std::string& name) {
    const std::string path = directory.path + "/" + name;
    std::error_code error;
    const auto status = std::filesystem::status(path, error);
    if (std::filesystem::is_directory(status))
        watch(path);
    else if (!std::filesystem::exists(status) && is_session_id(name))
        gone_(name);
}

} // namespace odoo_bus
