// Watches Odoo's session files: a logout removes one. Only names are looked at, files are not read.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include <uv.h>

namespace odoo_bus {

class SessionWatch {
public:
    // `data_dir`: Odoo's own, which holds `sessions`. `gone` is called when a session's file was removed.
    SessionWatch(uv_loop_t* loop, const std::string& data_dir,
                 std::function<void(const std::string& id)> gone);
    ~SessionWatch();
    // No directory of session files is left out.
    bool is_complete() const { return complete_; }
    SessionWatch(const SessionWatch&) = delete;
    SessionWatch& operator=(const SessionWatch&) = delete;

private:
    struct Directory {
        uv_fs_event_t handle;
        SessionWatch* owner; // null when it has gone
        std::string path;
    };
    bool watch(const std::string& path);
    void changed(const Directory& directory, const std::string& name);

    uv_loop_t* const loop_;
    const std::string root_;
    const std::function<void(const std::string&)> gone_;
    std::map<std::string, Directory*> directories_; // freed by their close callbacks
    bool complete_ = true;
};

} // namespace odoo_bus
