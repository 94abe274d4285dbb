// user.h: the channel of a user of Odoo.
#pragma once

#include "pg.h"

namespace odoo_bus {

// As stored; the user's own from release 19.3 on, that of the user's partner before. Raises an error if
// Odoo's tables are not in this schema, may not be read, or have no such user.
text* user_channel(Oid schema, int64 user_id);

} // namespace odoo_bus
