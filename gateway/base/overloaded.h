// What std::visit() calls for each alternative of a variant: std::visit(Overloaded{f, g, h}, variant).
#pragma once

namespace odoo_bus {

template <class... Functions>
struct Overloaded : Functions... {
    using Functions::operator()...;
};

template <class... Functions>
Overloaded(Functions...) -> Overloaded<Functions...>;

} // namespace odoo_bus
