// Which channels of a grant Odoo has granted for the identity of the session: the user's own records, groups
// and discuss channels, as opposed to what the page has named, and to what every visitor is granted.
#pragma once

#include <vector>

#include "auth/authorizer.h"
#include "auth/odoo/odoo_subject.h"

namespace odoo_bus {

// One element for each channel of the grant, see Grant::personal. In doubt a channel is personal.
std::vector<bool> personal_channels(const OdooSubject& subject, const Grant& grant);

} // namespace odoo_bus
