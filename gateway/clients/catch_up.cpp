// A client that is given rows of the table before it continues in the history.
#include "clients/catch_up.h"

#include <algorithm>
#include <utility>

#include "http/memory_account.h"
#include "protocol/frame.h"

namespace odoo_bus {

CatchUp::CatchUp(DatabaseFeed& feed, Subscriber& subscriber, Owner& owner, FromTable decision)
    : feed_(feed), subscriber_(subscriber), owner_(owner), decision_(std::move(decision)),
      after_(decision_.last) {}

void CatchUp::start(const GrantedChannels& granted) {
    if (granted.personal && !decision_.is_added)
        personal_ = *granted.personal;
    confirmed_until_ = granted.confirmed_until;
    if (decision_.is_reset)
        owner_.tell_last_id_reset(feed_.newest);
    feed_.fan_out.hold(subscriber_);
    feed_.fan_out.subscribe(subscriber_, granted, feed_.fan_out.oldest() - 1);
    owner_.ask_table(after_, decision_.channels);
}

CatchUp::Progress CatchUp::answered(const ReplayAnswer& page, const Resume& resume) {
    if (page.failed)
        return Progress::failed;
    if (personal_elements(page) > 0 && feed_.fan_out.must_wait(subscriber_)) {
        unconfirmed_ = page;
        return Progress::waits;
    }
    return take(page, resume);
}

CatchUp::Progress CatchUp::confirmed(const Resume& resume, bool in_time) {
    const auto page = std::exchange(unconfirmed_, std::nullopt);
    if (!page)
        return Progress::waits;
    if (!in_time)
        feed_.fan_out.count_unconfirmed(personal_elements(*page));
    return take(*page, resume);
}

size_t CatchUp::personal_elements(const ReplayAnswer& page) const {
    return static_cast<size_t>(std::ranges::count_if(page.elements, [this](const auto& element) {
        return feed_.fan_out.is_personal(subscriber_, element.channel);
    }));
}

CatchUp::Progress CatchUp::take(const ReplayAnswer& page, const Resume& resume) {
    FanOut& fan_out = feed_.fan_out;
    if (state_ == State::first_page) {
        if (page.pending && page.last_exists && !decision_.is_added) {
            const auto from = resume.after_undispatched(decision_.last, MonotonicClock::now());
            fan_out.unsubscribe(subscriber_);
            fan_out.subscribe(subscriber_, {decision_.channels, personal_, confirmed_until_}, from.position);
            fan_out.release(subscriber_);
            return Progress::done;
        }
        if (decision_.is_checked && !page.last_exists)
            owner_.tell_outdated();
    }
    write(page);
    if (!page.more) {
        fan_out.release(subscriber_);
        return Progress::done;
    }
    after_ = page.next;
    state_ = State::written;
    if (subscriber_.writable())
        on_writable();
    else
        subscriber_.want_writable();
    return Progress::waits;
}

void CatchUp::on_writable() {
    if (state_ != State::written)
        return;
    state_ = State::next_page;
    owner_.ask_table(after_, decision_.channels);
}

size_t CatchUp::held_bytes() const {
    size_t bytes = sizeof *this + odoo_bus::held_bytes(decision_.channels);
    if (unconfirmed_)
        for (const auto& element : unconfirmed_->elements)
            bytes += sizeof element + element.channel.size() + element.element.size();
    return bytes;
}

void CatchUp::write(const ReplayAnswer& page) {
    std::optional<Frame> frame;
    for (const auto& [id, channel, element] : page.elements) {
        if (const auto position = feed_.fan_out.position_of(id);
            position && *position > decision_.history_from)
            continue; // it comes from the history
        if (!frame)
            frame.emplace(FRAME_HEADROOM, subscriber_.format());
        frame->add(id, channel, element);
    }
    if (frame)
        subscriber_.write(std::move(*frame).finish());
}

} // namespace odoo_bus
