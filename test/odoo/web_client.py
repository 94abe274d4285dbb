"""Odoo's web client in a page, as a user works with it; what differs between versions stays in here."""
import json
import time

from harness.deadline import scaled
from harness.wait import until


class WebClient:
    def __init__(self, page, nginx, site):
        self.page = page
        self.nginx = nginx
        self.site = site
        self.since_18 = float(site.version) >= 18

    def log_in(self, user):
        self.page.goto(self.nginx.url("/web/login"))
        self.page.fill("input[name=login]", user.login)
        self.page.fill("input[name=password]", user.password)
        self.page.press("input[name=password]", "Enter")
        self.page.see(".o_main_navbar")
        return self

    def open_discuss(self, channel=None):
        """The page of all conversations, or one of them; connected when it is shown."""
        active = f"discuss.channel_{channel}" if channel else "mail.box_inbox"
        if self.since_18:
            self.page.goto(self.nginx.url(f"/odoo/action-mail.action_discuss?active_id={active}"))
        else:
            # The part after # alone would load nothing anew.
            self.page.goto(self.nginx.url("/web/health"))
            self.page.goto(self.nginx.url(f"/web#action=mail.action_discuss&active_id={active}"))
        self.page.see(".o-mail-DiscussSidebar")
        if channel:
            self.page.see(".o-mail-Composer-input")
        return self

    def call(self, model, method, *arguments, **options):
        """An RPC of this page's own session."""
        request = {"jsonrpc": "2.0", "method": "call", "id": 1, "params": {
            "model": model, "method": method, "args": arguments, "kwargs": options}}
        answer = self.page.evaluate(f"""fetch("/web/dataset/call_kw/{model}/{method}", {{
            method: "POST", headers: {{"Content-Type": "application/json"}},
            body: JSON.stringify({json.dumps(request)})}}).then((answer) => answer.json())""")
        assert "error" not in answer, answer["error"]["data"]["message"]
        return answer["result"]

    def send_presence(self, inactivity_period):
        """As the page does when the user has not moved for so many milliseconds."""
        data = json.dumps({"inactivity_period": inactivity_period} |
                          ({} if float(self.site.version) >= 19 else {"im_status_ids_by_model": {}}))
        self.page.evaluate(f"odoo.__WOWL_DEBUG__.root.env.services.bus_service.send('update_presence', {data})")

    # --- conversations ---

    def write(self, text):
        """Types a message and sends it. 17.0 empties the composer when it has been sent, whatever is in it by then."""
        self.page.type(".o-mail-Composer-input", text)
        self.page.press(".o-mail-Composer-input", "Enter")
        self.page.wait("document.querySelector('.o-mail-Composer-input').value === ''")
        self.see_message(text)

    def see_message(self, text):
        self.page.see(f'.o-mail-Message:has-text("{text}")')

    def count_messages(self, text):
        return self.page.count(f'.o-mail-Message-body:has-text("{text}")')

    def begin_to_type(self, text):
        self.page.type(".o-mail-Composer-input", text)

    def see_typing(self, name):
        self.page.see(f'.o-discuss-Typing:has-text("{name} is typing")')

    def see_in_sidebar(self, name):
        self.page.see(f'.o-mail-DiscussSidebarChannel:has-text("{name}")')

    def open_from_sidebar(self, name):
        self.page.click(f'.o-mail-DiscussSidebarChannel:has-text("{name}")')
        self.page.see(".o-mail-Composer-input")

    def open_unread(self, name):
        """The conversation of that name in which something was written since."""
        self.page.click(f'.o-mail-DiscussSidebarChannel.o-unread:has-text("{name}")')
        self.page.see(".o-mail-Composer-input")

    def see_toast(self, text):
        self.page.see(f'.o_notification:has-text("{text}")')

    def see_chat_window(self, text):
        """A conversation that opened by itself, or its bubble."""
        self.page.see(f'.o-mail-ChatWindow:has-text("{text}"), .o-mail-ChatBubble')

    # --- the visitor's side of a live chat ---

    def open_live_chat(self, url):
        """A page has the button if an operator was online when it was made: a visitor who sees none looks again."""
        def has_button():
            self.page.goto(url)
            patience = time.monotonic() + scaled(10)
            while time.monotonic() < patience:
                if self.page.count(".o-livechat-LivechatButton"):
                    return True
                time.sleep(0.1)
            return False
        until(has_button, lambda: f"there is no button at {url}")
        self.page.click(".o-livechat-LivechatButton")
        self.page.see(".o-mail-ChatWindow .o-mail-Composer-input")
        return self

    def write_in_chat(self, text):
        self.page.type(".o-mail-ChatWindow .o-mail-Composer-input", text)
        self.page.press(".o-mail-ChatWindow .o-mail-Composer-input", "Enter")
        self.page.see(f'.o-mail-ChatWindow .o-mail-Message:has-text("{text}")')

    def see_in_chat(self, text):
        self.page.see(f'.o-mail-ChatWindow .o-mail-Message:has-text("{text}")')
