// Frames as they go to clients, kept for a while since many subscribers are sent the same one.
#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "protocol/frame.h"
#include "protocol/notification.h"

namespace odoo_bus {

// Room before a frame's payload, where the transport writes its header (the same one each time).
inline constexpr size_t FRAME_HEADROOM = 16;

class FrameCache {
public:
    // The frame that holds the notifications at `positions`; `at` finds them.
    const std::string& frame(std::span<const Position> positions, FrameFormat format,
                             const std::function<const Notification&(Position)>& at);
    void clear();

private:
    struct Entry {
        std::vector<Position> positions;
        FrameFormat format = FrameFormat::plain;
        std::string frame;
    };

    std::array<Entry, 16> entries_;
    size_t oldest_ = 0;
};

} // namespace odoo_bus
