// Frames of several notifications, built once for all subscribers that are sent the same ones.
#include "protocol/frame_cache.h"

#include <algorithm>

namespace odoo_bus {

const std::string& FrameCache::frame(std::span<const Position> positions, FrameFormat format,
                                     const std::function<const Notification&(Position)>& at) {
    for (const Entry& entry : entries_)
        if (entry.format == format && std::ranges::equal(entry.positions, positions))
            return entry.frame;

    Entry& entry = entries_[oldest_];
    oldest_ = (oldest_ + 1) % entries_.size();
    entry.positions.assign(positions.begin(), positions.end());
    entry.format = format;
    Frame frame(FRAME_HEADROOM, format);
    for (const Position position : positions) {
        const Notification& notification = at(position);
        frame.add(notification.id, notification.channel, notification.element);
    }
    entry.frame = std::move(frame).finish();
    return entry.frame;
}

void FrameCache::clear() {
    for (Entry& entry : entries_)
        entry = {};
}

} // namespace odoo_bus
