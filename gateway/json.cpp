// How much memory a JSON text may ask for.
#include "json.h"

#include <algorithm>

namespace odoo_bus {

JsonExtent json_extent(std::string_view text) {
    JsonExtent extent{0, 1};
    size_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (in_string) {
            if (c == '\\')
                ++i;
            else if (c == '"')
                in_string = false;
            continue;
        }
        switch (c) {
        case '"':
            in_string = true;
            break;
        case '[':
        case '{':
            extent.depth = std::max(extent.depth, ++depth);
            ++extent.values;
            break;
        case ']':
        case '}':
            if (depth > 0)
                --depth;
            break;
        case ',':
            ++extent.values;
            break;
        }
    }
    return extent;
}

} // namespace odoo_bus
