// A client of the simulation: it is subscribed to everything, moves between gateways with its `last`, and
// judges what it is given.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "simulated_node.h"

namespace odoo_bus {

class SimulatedClient {
public:
    explicit SimulatedClient(const World& world) : world_(&world) {}

    // Connects there; from another gateway or, after a loss, again.
    void move_to(SimulatedNode& node);
    void leave() { node_ = nullptr; }
    SimulatedNode* node() const { return node_; }
    bool has_begun() const { return has_begun_; }

    void step(Random& random);

    // Nothing it was given is wrong. Else what is.
    const std::string& complaint() const { return complaint_; }
    bool has_all() const { return in_order_ == world_->table.committed().size(); }
    std::string missing() const;

    // How often it went on in which way, and how much it was given again for that reason.
    struct Counts {
        uint64_t exact = 0;
        uint64_t overlaps = 0;
        uint64_t again = 0;
    };
    Counts counts = {};

private:
    void begin();
    void begin_exactly(size_t place);
    void begin_with_overlap();
    void receive(Id id);
    void complain(const std::string& what) { complaint_ = complaint_.empty() ? what : complaint_; }
    bool has(Id id) const { return static_cast<size_t>(id) < seen_.size() && seen_[static_cast<size_t>(id)]; }

    const World* world_;
    SimulatedNode* node_ = nullptr;
    bool has_begun_ = false;
    Monotonic came_ = {};
    std::optional<EntryId> head_; // asked after it had come
    size_t next_ = 0;             // in the node's history

    Id last_ = 0;
    std::string from_; // the gateway that gave it `last_`
    std::vector<bool> seen_;
    std::vector<bool> excused_; // may come again: an overlap has them
    size_t in_order_ = 0;       // of what was committed, in that order, it has the first ones
    std::string complaint_;
};

} // namespace odoo_bus
