"""What differs between the versions of Odoo.

17.0 and 19.0 were measured on running servers (test/odoo/contract_test.py), 18.0 was read. "19.4" stands for the releases
saas-19.4 and saas-19.5; they and 20.0 were not run. What they do is from public sources: addons/bus of github.com/odoo/odoo
(websocket.py, models/ir_websocket.py, models/bus.py, static/src/workers/websocket_worker.js) on the branches saas-19.4,
saas-19.5 and 20.0.
"""
from dataclasses import dataclass


@dataclass
class Build:
    """One build of Odoo. `rotation` says which routes change a session id after three hours: none, all, or all but
    those that a gateway calls in the background ("excluded", as newer builds of 19.0 do)."""

    version: str
    worker_version: str
    error_code: int  # of every refusal that is not an expired session
    rotation: str = "none"
    hex_ids: bool = False  # session ids are 40 hexadecimal digits
    group_channels: bool = True  # each group of a user is a channel
    own_presence: bool = False  # a user's own presence is always one
    user_channel: bool = False  # the user's own record is one
    members_channel: str = "internal_users"  # second channel of a discuss channel
    peek_reads_dgid: bool = False  # the guest of a peek is taken from the cookie
    presence_takes_ids: bool = False  # update_bus_presence needs im_status_ids_by_model
    knows_missed: bool = True  # /bus/has_missed_notifications
    knows_form_watch: bool = False
    bus_info: bool = False  # the page's session information holds bus_info
    presence_needs_mail: bool = True
    # Of the bus server:
    needs_check_outdated: bool = False  # `subscribe` is read without a default for check_outdated
    zero_is_all: bool = False  # `last` 0 is everything that is kept, not the last 50 s; a new channel begins at `last`
    frame_per_channel: bool = False  # a frame for each channel, in UTF-8 and without spaces


BUILDS = {
    "17.0": Build("17.0", "17.0-1", 200, hex_ids=True, group_channels=False, members_channel="members",
                  peek_reads_dgid=True, presence_takes_ids=True, knows_missed=False, presence_needs_mail=False),
    "18.0": Build("18.0", "18.0-3", 200, own_presence=True, members_channel="members", peek_reads_dgid=True,
                  presence_takes_ids=True, presence_needs_mail=False),
    "19.0": Build("19.0", "19.0-2", 0, rotation="all", own_presence=True),
    "19.4": Build("19.4", "saas-19.5-1", 0, rotation="excluded", own_presence=True, user_channel=True, bus_info=True,
                  needs_check_outdated=True, zero_is_all=True, frame_per_channel=True),
    "20.0": Build("20.0", "20.0-1", 0, rotation="excluded", own_presence=True, user_channel=True,
                  knows_form_watch=True, bus_info=True, needs_check_outdated=True, zero_is_all=True,
                  frame_per_channel=True),
}
