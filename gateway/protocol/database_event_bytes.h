// The bytes of a DatabaseEvent (base/bytes.h), for the link to another process.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "base/bytes.h"
#include "protocol/database_event.h"

namespace odoo_bus {

// Without its delay, which is measured once, where it was dispatched.
template <>
inline constexpr auto FIELDS<Notification> = std::tuple(&Notification::id, &Notification::position,
                                                        &Notification::fingerprint, &Notification::dispatched,
                                                        &Notification::ahead, &Notification::channel,
                                                        &Notification::element);

// Its notifications; null: none. Consumers rely on positions without a hole.
template <>
struct Coding<BatchPtr> {
    static void write(std::string& to, const BatchPtr& batch) {
        static const Batch none;
        write_bytes(to, batch ? *batch : none);
    }
    static void read(ByteReader& from, BatchPtr& batch) {
        auto notifications = std::make_shared<Batch>();
        from.read(*notifications);
        for (size_t i = 1; i < notifications->size(); ++i)
            if ((*notifications)[i].position != notifications->front().position + i)
                from.refuse();
        if (!notifications->empty())
            batch = std::move(notifications);
    }
};

template <>
struct Coding<std::vector<BatchPtr>> {
    static void write(std::string& to, const std::vector<BatchPtr>& batches) {
        write_bytes<uint64_t>(to, batches.size());
        for (const BatchPtr& batch : batches)
            write_bytes(to, batch);
    }
    static void read(ByteReader& from, std::vector<BatchPtr>& batches) {
        uint64_t count = 0;
        for (from.read(count); count > 0 && !from.is_damaged(); --count) {
            from.read(batches.emplace_back());
            if (!batches.back())
                from.refuse();
        }
    }
};

template <>
inline constexpr auto FIELDS<event::Expect> = std::tuple();
template <>
inline constexpr auto FIELDS<event::Begin> = std::tuple(&event::Begin::kept, &event::Begin::head,
                                                        &event::Begin::newest, &event::Begin::adopted_until,
                                                        &event::Begin::missed);
template <>
inline constexpr auto FIELDS<event::Publish> = std::tuple(&event::Publish::batch, &event::Publish::keep_from);
template <>
inline constexpr auto FIELDS<event::Lost> = std::tuple(&event::Lost::positions, &event::Lost::newest);
template <>
inline constexpr auto FIELDS<event::UsersChanged> = std::tuple(&event::UsersChanged::partners);
template <>
inline constexpr auto FIELDS<event::Peers> = std::tuple(&event::Peers::exist);
template <>
inline constexpr auto FIELDS<event::LetGo> = std::tuple();
template <>
inline constexpr auto FIELDS<event::Forget> = std::tuple();

} // namespace odoo_bus
