"""odoo-bus-gateway doctor: a set-up that works, one fault in it at a time, and doctor names it and nothing else."""
import contextlib
import json
import os
import subprocess

import pytest

from harness.certificate import make_certificate
from harness.deadline import DEADLINE
from harness.doorbell import eventually, preloaded_cluster
from harness.gateway import BINARY, Gateway, run_gateway
from harness.nginx import Nginx
from harness.pgbouncer import PgBouncer
from harness.shared_library import compile_shared_library
from harness.standby import Standby
from harness.ports import reserve_port
from harness.system import ROOT, clean_environment
from harness.tokens import Secret, claims
from harness.wait import until
from standin import Standin

ROLE = "doctor_role"
OLD_LIBRARY = "CREATE OR REPLACE FUNCTION bus_version() RETURNS text LANGUAGE sql AS $$ SELECT '0.9' $$"


class EditedNginx(Nginx):
    edits = ()

    def site(self):
        text = super().site()
        for there, here in self.edits:
            assert there in text, f"deploy/nginx.conf must say {there!r}"
            text = text.replace(there, here)
        return text


class Site:
    """PostgreSQL, Odoo, the gateway and nginx. A fault changes the attributes before they start; what `after` holds is
    done once they have."""

    def __init__(self, cluster, make_database, stack, directory):
        self.cluster, self.make_database, self.stack, self.directory = cluster, make_database, stack, directory
        cluster.execute(f"DO $$ BEGIN CREATE ROLE {ROLE} LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
        cluster.execute(f"GRANT pg_read_all_stats TO {ROLE}")
        self.database = make_database()
        self.database.execute(f"GRANT SELECT ON bus_bus, bus_bus_id_seq TO {ROLE}")
        self.odoo = stack.enter_context(Standin(version="19.0"))
        self.odoo.add_database(self.database.name)
        self.state = directory / "state"
        self.state.mkdir()
        self.gateway = Gateway(self.conninfo(self.database), auth="odoo", odoo_url=self.odoo.url,
                               state_dir=self.state, max_connections=200)
        self.nginx = EditedNginx(self.gateway.port)
        self.nginx.edits = []
        self.starts = {"gateway", "nginx"}
        self.after = []
        self.wrapper = []
        self.environment = {}
        self.extra = ["--gevent-port", reserve_port()]
        self.overrides = {}  # of the gateway's options, for doctor alone
        self.doctors_database = None
        self.url = self.nginx.url()

    def conninfo(self, database):
        return self.cluster.conninfo(getattr(database, "name", database), user=ROLE)

    def doctor(self):
        if "gateway" in self.starts:
            self.stack.callback(self.gateway.finish)
            self.gateway.start()
        if "nginx" in self.starts:
            self.stack.enter_context(self.nginx)
        for step in self.after:
            step()
        options = Gateway(self.doctors_database or self.gateway.databases[0], port=self.gateway.port,
                          **(self.gateway.options | self.overrides))
        command = [*self.wrapper, BINARY, "doctor", "--json", "--url", self.url, *options.arguments, *self.extra]
        done = subprocess.run([str(word) for word in command], env=clean_environment() | self.environment,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=4 * DEADLINE)
        assert done.stdout, done.stderr
        report = json.loads(done.stdout)
        assert done.returncode == {"ok": 0, "warning": 1, "failed": 2}[report["state"]]
        return report["checks"]

    def use_tls(self):
        """nginx speaks TLS with a certificate for odoo.example.com that is signed by itself; returns its file."""
        certificate, key = make_certificate(self.directory, "odoo.example.com")
        listen = f"listen 127.0.0.1:{self.nginx.port}"
        self.nginx.edits += [(f"{listen};", f"{listen} ssl; ssl_certificate {certificate}; ssl_certificate_key {key};")]
        self.url = f"https://odoo.example.com:{self.nginx.port}"
        self.extra += ["--address", "127.0.0.1"]
        return certificate

    def transaction(self):
        connection = self.stack.enter_context(self.database.connect(autocommit=False))
        self.stack.callback(connection.rollback)
        return connection


@pytest.fixture
def site(cluster, make_database, tmp_path):
    with contextlib.ExitStack() as stack:
        yield Site(cluster, make_database, stack, tmp_path)


def complaints(checks):
    return [check for check in checks if check["state"] != "ok"]


FAULTS = {}


def fault(name, state, words):
    """The check that is to find it, how bad it is, and what its line is to say."""
    def register(function):
        FAULTS[function.__name__] = (function, name, state, words)
        return function
    return register


@fault("proxy.upgrade", "failed", "proxy_set_header Upgrade")
def nginx_without_upgrade(site):
    site.nginx.edits += [("proxy_set_header Upgrade $http_upgrade;", "")]


@fault("proxy.upgrade", "failed", "proxy_http_version 1.1")
def nginx_speaks_http_1_0(site):
    site.nginx.edits += [("proxy_http_version 1.1;", "proxy_http_version 1.0;")]


@fault("proxy.buffering", "failed", "proxy_buffering off")
def nginx_keeps_streams_back(site):
    # The gateway forbids it in its answer; a proxy that does not know that header is like this.
    site.nginx.edits += [("proxy_buffering off;", "proxy_buffering on; proxy_ignore_headers X-Accel-Buffering;")]


@fault("proxy.host", "failed", "X-Forwarded-Host $http_host")
def nginx_does_not_pass_on_the_host(site):
    site.nginx.edits += [("proxy_set_header Host $http_host;", ""),
                         ("proxy_set_header X-Forwarded-Host $http_host;", "")]


@fault("proxy.address", "warning", "X-Forwarded-For")
def nginx_does_not_pass_on_addresses(site):
    site.nginx.edits += [("proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;", "")]


@fault("proxy.scheme", "failed", "pages count as foreign")
def nginx_tells_another_scheme(site):
    site.nginx.edits += [("proxy_set_header X-Forwarded-Proto $scheme;", "proxy_set_header X-Forwarded-Proto https;")]


@fault("proxy.scheme", "warning", "X-Forwarded-Proto")
def nginx_does_not_pass_on_the_scheme(site):
    site.nginx.edits += [("proxy_set_header X-Forwarded-Proto $scheme;", "")]


@fault("proxy.patience", "failed", "proxy_read_timeout")
def nginx_is_impatient(site):
    site.nginx.edits += [("proxy_read_timeout 120s;", "proxy_read_timeout 1s;")]
    site.gateway.options["ping_interval"] = 6
    site.extra += ["--wait"]


@fault("proxy.trusted", "failed", "--trusted-proxy")
def the_proxy_is_not_trusted(site):
    site.gateway.options["trusted_proxy"] = "none"


@fault("proxy.reachable", "failed", "Connection refused")
def nginx_is_down(site):
    site.starts.remove("nginx")


@fault("proxy.route", "failed", "--listen")
def nginx_leads_elsewhere(site):
    site.nginx.edits += [(f"server 127.0.0.1:{site.gateway.port};", f"server 127.0.0.1:{site.nginx.odoo_port};")]


@fault("proxy.certificate", "failed", "signed certificate")
def the_certificate_is_nobodys(site):
    site.use_tls()


@fault("gateway.reachable", "failed", "start it")
def the_gateway_is_down(site):
    site.starts.remove("gateway")


@fault("gateway.reachable", "failed", "it is no odoo-bus-gateway")
def another_server_has_the_port(site):
    # Odoo's own: it answers for its health as the gateway does.
    site.starts.remove("gateway")
    site.overrides["listen"] = f"127.0.0.1:{site.odoo.port}"


@fault("postgresql.pooler", "failed", "LISTEN hears nothing")
def pgbouncer_pools_transactions(site):
    pooler = site.stack.enter_context(PgBouncer(site.cluster, "transaction", ROLE))
    site.doctors_database = pooler.conninfo(site.database.name)


@fault("postgresql.bus_bus", "failed", f'GRANT SELECT ON public.bus_bus TO "{ROLE}"')
def the_table_may_not_be_read(site):
    site.after += [lambda: site.database.execute(f"REVOKE SELECT ON bus_bus FROM {ROLE}")]


@fault("postgresql.bus_bus", "failed", "GRANT SELECT ON SEQUENCE")
def the_sequence_may_not_be_read(site):
    site.after += [lambda: site.database.execute(f"REVOKE SELECT ON bus_bus_id_seq FROM {ROLE}")]


@fault("postgresql.bus_bus", "failed", "CACHE 1")
def the_sequence_has_a_cache(site):
    site.after += [lambda: site.database.execute("ALTER SEQUENCE bus_bus_id_seq CACHE 20")]


@fault("postgresql.bus_bus", "failed", "bus_create_table()")
def there_is_no_table(site):
    site.doctors_database = site.conninfo(site.make_database(extension=False))


@fault("postgresql.bus_bus", "failed", "not an ordinary table")
def the_table_is_a_view(site):
    other = site.make_database(extension=False)
    other.execute("CREATE VIEW bus_bus AS SELECT 1 AS id")
    site.doctors_database = site.conninfo(other)


@fault("postgresql.bus_bus", "failed", "DISABLE ROW LEVEL SECURITY")
def row_level_security_hides_rows(site):
    site.after += [lambda: site.database.execute("ALTER TABLE bus_bus ENABLE ROW LEVEL SECURITY")]


@fault("postgresql.bus_bus", "failed", "(create_date)")
def a_column_has_another_type(site):
    site.after += [lambda: site.database.execute("ALTER TABLE bus_bus ALTER channel TYPE jsonb USING channel::jsonb")]


@fault("postgresql.bus_bus", "failed", "drop that index")
def an_index_runs_code_of_the_owner(site):
    site.after += [lambda: site.database.execute(
        "CREATE FUNCTION his_own(text) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT true';"
        "CREATE INDEX ON bus_bus (channel) WHERE his_own('x')")]


@fault("postgresql.bus_bus", "warning", "no index on id")
def the_table_has_no_index(site):
    site.after += [lambda: site.database.execute("ALTER TABLE bus_bus DROP CONSTRAINT bus_bus_pkey")]


@fault("postgresql.primary", "failed", "point --database at the primary")
def the_server_is_a_standby(site):
    standby = Standby(site.cluster)
    site.stack.callback(standby.remove)
    standby.start()
    site.doctors_database = standby.conninfo(site.database.name, user=ROLE)


@fault("postgresql.connection", "failed", "does not exist")
def the_database_has_another_name(site):
    site.doctors_database = site.conninfo("nobody_made_this_one")


@fault("postgresql.connection", "failed", "start PostgreSQL")
def postgresql_is_down(site):
    site.doctors_database = f"host=127.0.0.1 port={reserve_port()} dbname=any user={ROLE}"


@fault("postgresql.hub", "failed", "--hub-database")
def the_hub_cannot_be_reached(site):
    site.overrides["hub_database"] = site.conninfo("nobody_made_this_one")


@fault("postgresql.odoo-notify", "warning", "GRANT EXECUTE ON FUNCTION public.bus_notify(text, text) TO odoo_owner")
def odoo_may_not_execute_bus_notify(site):
    site.cluster.execute("CREATE ROLE odoo_owner")
    site.stack.callback(lambda: site.cluster.execute("DROP ROLE odoo_owner"))
    site.cluster.execute("CREATE EXTENSION odoo_bus")
    site.stack.callback(lambda: site.cluster.execute("DROP EXTENSION odoo_bus"))
    site.cluster.execute("REVOKE EXECUTE ON FUNCTION bus_notify(text, text) FROM PUBLIC")
    site.database.execute("ALTER TABLE bus_bus OWNER TO odoo_owner")
    site.stack.callback(lambda: site.database.execute("ALTER TABLE bus_bus OWNER TO postgres"))


@fault("postgresql.library", "failed", "ALTER EXTENSION odoo_bus UPDATE")
def the_library_has_another_version(site):
    site.after += [lambda: site.database.execute(OLD_LIBRARY)]


@fault("postgresql.extension", "warning", "bring both to the same version")
def the_extension_is_older_than_the_gateway(site):
    def age():
        site.database.execute(OLD_LIBRARY)
        site.database.execute("UPDATE pg_extension SET extversion = '0.9' WHERE extname = 'odoo_bus'")
    site.after += [age]


@fault("postgresql.answers", "warning", "docs/managed.md")
def the_server_refuses_a_question(site):
    site.after += [lambda: site.database.execute("REVOKE EXECUTE ON FUNCTION pg_postmaster_start_time() FROM PUBLIC")]


@fault("postgresql.ids", "failed", "RESTART IDENTITY")
def ids_are_nearly_used_up(site):
    site.after += [lambda: site.database.execute("SELECT setval('bus_bus_id_seq', 2100000000)")]


@fault("postgresql.ids", "warning", "RESTART IDENTITY")
def ids_will_be_used_up(site):
    site.after += [lambda: site.database.execute("SELECT setval('bus_bus_id_seq', 1800000000)")]


@fault("postgresql.rows", "warning", "bus_gc()")
def nobody_removes_old_rows(site):
    site.after += [lambda: site.database.execute(
        "INSERT INTO bus_bus (channel, message, create_date) "
        "VALUES ('[\"x\",\"y\"]', '{}', now() AT TIME ZONE 'UTC' - interval '9 days')")]


@fault("postgresql.notify-queue", "warning", "a listener does not read")
def the_notify_queue_fills(site):
    def fill():
        sleeper = site.transaction()
        sleeper.execute("LISTEN something")
        sleeper.commit()
        sleeper.execute("SELECT 1")
        site.database.execute("SELECT count(pg_notify('something', repeat('x', 7900) || n)) "
                              "FROM generate_series(1, 7000) n")
    site.after += [fill]


@fault("postgresql.listeners", "warning", "slow_reader")
def a_listener_does_not_read(site):
    def fill():
        reader = site.stack.enter_context(site.database.connect(application_name="slow_reader"))
        reader.execute("LISTEN something")
        # More than the sockets' buffers hold, and far less than the queue.
        site.database.execute("SELECT count(pg_notify('something', repeat('x', 7900) || n)) "
                              "FROM generate_series(1, 1500) n")
        until(lambda: site.database.value("SELECT count(*) FROM pg_stat_activity WHERE application_name = "
                                          "'slow_reader' AND wait_event = 'ClientWrite'") == 1,
              lambda: "the listener's process is not held up")
    site.after += [fill]


@fault("postgresql.transactions", "warning", "pg_terminate_backend")
def a_transaction_does_not_end(site):
    connection = site.transaction()
    site.extra += ["--long-transaction", 1]
    site.after += [lambda: connection.execute("SELECT 1"),
                   # Its age is what is waited for.
                   lambda: site.cluster.execute("SELECT pg_sleep(2.5)")]


@fault("odoo.reachable", "failed", "--odoo-url")
def odoo_is_down(site):
    site.after += [site.odoo.refuse_connections]


@fault("odoo.worker-version", "failed", "leave --worker-version out")
def odoo_has_another_worker_version(site):
    site.gateway.options["worker_version"] = "1.0-1"


@fault("odoo.database", "failed", "dbfilter")
def odoo_cannot_choose_a_database(site):
    site.odoo.add_database("another_one")


@fault("odoo.database", "failed", "which is not served")
def odoo_chooses_another_database(site):
    site.odoo.databases.clear()
    site.odoo.add_database("another_one")


@fault("odoo.database", "failed", "proxy_mode")
def odoo_filters_by_a_host_that_it_does_not_see(site):
    site.odoo.dbfilter = "^%d$"


@fault("odoo.proxy-mode", "failed", "proxy_mode = True")
def odoo_does_not_believe_its_proxy(site):
    site.odoo.website, site.odoo.proxy_mode = "", False


@fault("odoo.proxy-mode", "failed", "proxy_mode = True")
def odoo_does_not_believe_its_proxy_and_its_website_has_a_domain(site):
    site.odoo.website, site.odoo.proxy_mode = f"https://127.0.0.1:{site.nginx.port}", False


@fault("odoo.logout", "failed", "the group of the session files")
def odoos_session_files_are_not_to_be_seen(site):
    site.overrides["odoo_data_dir"] = site.directory / "nothing"


@fault("odoo.gevent", "warning", "without its gevent worker")
def odoos_own_bus_server_goes_on(site):
    gevent = site.stack.enter_context(Standin(version="19.0"))
    gevent.add_database(site.database.name)
    site.extra = ["--gevent-port", gevent.port]


@fault("odoo.websocket", "failed", "gevent_port")
def odoos_own_bus_server_is_needed_and_not_there(site):
    site.overrides["odoo_websocket"] = f"ws://127.0.0.1:{reserve_port()}"


@fault("machine.descriptors", "failed", "LimitNOFILE")
def few_files_may_be_open(site):
    site.wrapper = ["prlimit", "--nofile=100:100"]


@fault("machine.descriptors", "warning", "LimitNOFILE")
def fewer_files_than_connections_may_be_open(site):
    site.wrapper = ["prlimit", "--nofile=1024:4000"]
    site.overrides["max_connections"] = 50_000


@fault("machine.memory", "warning", "--max-memory")
def more_memory_than_there_is(site):
    site.overrides["max_memory"] = "1000GiB"


@fault("machine.clock", "warning", "synchronize")
def the_clock_is_off(site):
    library = compile_shared_library(ROOT / "test/e2e/clock_off.c", site.directory)
    site.environment |= {"LD_PRELOAD": str(library), "ASAN_OPTIONS": "verify_asan_link_order=0"}


@fault("machine.state-dir", "failed", "make room")
def the_disk_is_full(site):
    enter = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
    if subprocess.run([*enter, "true"], capture_output=True).returncode != 0:
        pytest.skip("this user may not mount a small file system of its own")
    site.wrapper = [*enter, "sh", "-c", 'mount -t tmpfs -o size=1m,mode=700 none "$0" && exec "$@"', site.state]


@fault("machine.state-dir", "failed", "StateDirectory=")
def the_state_directory_is_not_there(site):
    site.overrides["state_dir"] = site.directory / "nobody_made_this_one"


def test_nothing_is_wrong(site):
    checks = site.doctor()
    assert complaints(checks) == []
    looked_at = {check["name"] for check in checks}
    missed = {name for _, name, _, _ in FAULTS.values()} - looked_at
    assert missed <= {"postgresql.library", "proxy.patience", "proxy.certificate"}, "each check says what is well, too"
    assert len({name for _, name, _, _ in FAULTS.values()}) >= 20


@pytest.mark.parametrize("which", FAULTS)
def test_the_fault_is_named_and_nothing_else(site, which):
    inject, name, state, words = FAULTS[which]
    inject(site)
    found = complaints(site.doctor())
    assert [(check["name"], check["state"]) for check in found] == [(name, state)], found
    assert words in f"{found[0]['found']}: {found[0]['cure']}"
    assert found[0]["cure"]


def test_a_pooler_that_keeps_sessions_is_no_fault(site):
    pooler = site.stack.enter_context(PgBouncer(site.cluster, "session", ROLE))
    site.doctors_database = pooler.conninfo(site.database.name)
    site.overrides["hub_database"] = pooler.conninfo("postgres")
    checks = site.doctor()
    assert complaints(checks) == []
    assert "it keeps sessions" in next(c["found"] for c in checks if c["name"] == "postgresql.pooler")


def test_a_proxy_that_speaks_tls_is_no_fault(site):
    site.environment["SSL_CERT_FILE"] = str(site.use_tls())
    checks = site.doctor()
    assert complaints(checks) == []
    assert any(check["found"] == "https arrives" for check in checks)


@pytest.mark.parametrize("domain", ["", "https://127.0.0.1:{port}", "https://shop.example.com"])
def test_an_odoo_that_trusts_its_proxy_is_no_fault(site, domain):
    site.odoo.website = domain.format(port=site.nginx.port)
    checks = site.doctor()
    assert complaints(checks) == []
    found = next(check["found"] for check in checks if check["name"] == "odoo.proxy-mode")
    # What a website says that is of another domain tells nothing.
    assert found.startswith("unknown whether" if "shop" in domain else "Odoo trusts"), found


@pytest.mark.parametrize("watched", [False, True])
def test_how_a_logout_is_seen_is_told(site, watched):
    if watched:
        (site.directory / "odoo" / "sessions").mkdir(parents=True)
        site.overrides["odoo_data_dir"] = site.directory / "odoo"
    checks = site.doctor()
    assert complaints(checks) == []
    found = next(check["found"] for check in checks if check["name"] == "odoo.logout")
    assert ("can be watched" if watched else "--odoo-data-dir") in found


def test_how_odoo_notifies_is_told(tmp_path):
    """bus_notify() in the hub of a server that preloads it."""
    with preloaded_cluster() as cluster:
        database = cluster.create_database().install()

        def told():
            done = run_gateway("doctor", "--json", "--database", database.conninfo, "--auth", "odoo", "--odoo-url",
                               f"http://127.0.0.1:{reserve_port()}", "--state-dir", tmp_path)
            [check] = [check for check in json.loads(done.stdout)["checks"] if check["name"] == "postgresql.odoo-notify"]
            return check["state"], check["found"] + check["cure"]

        def says(state, words):
            assert told()[0] == state and words in told()[1], told()

        says("ok", "by pg_notify()")
        cluster.execute("CREATE SCHEMA elsewhere; CREATE EXTENSION odoo_bus SCHEMA elsewhere")
        says("warning", "CREATE EXTENSION odoo_bus SCHEMA public")
        cluster.execute("DROP EXTENSION odoo_bus; CREATE EXTENSION odoo_bus")
        says("ok", "ODOO_NOTIFY_FUNCTION=bus_notify")
        cluster.execute("SELECT bus_notify('imbus', '[[\"mydb\",\"x\"]]')")
        says("ok", "is used: 1 ")
        cluster.execute("ALTER SYSTEM SET odoo_bus.hub_database = 'template1'")
        cluster.reload()
        eventually(lambda: cluster.execute("SHOW odoo_bus.hub_database") == [("template1",)])
        says("warning", "odoo_bus.hub_database = 'postgres'")


def test_a_patient_proxy_is_no_fault(site):
    site.gateway.options["ping_interval"] = 1
    site.extra += ["--wait"]
    checks = site.doctor()
    assert complaints(checks) == []
    assert "proxy.patience" in {check["name"] for check in checks}


def test_a_notification_is_sent_and_its_legs_are_told(site):
    site.database.execute(f"GRANT INSERT ON bus_bus TO {ROLE}")
    site.database.execute(f"GRANT USAGE ON bus_bus_id_seq TO {ROLE}")
    site.extra += ["--send"]
    checks = site.doctor()
    assert complaints(checks) == []
    legs = next(check["found"] for check in checks if check["name"] == "delivery")
    assert "committed in" in legs and "received directly" in legs and "received through the proxy" in legs
    assert site.database.value("SELECT count(*) FROM bus_bus") == 1


@pytest.fixture
def sending_site(site):
    site.database.execute(f"GRANT INSERT ON bus_bus TO {ROLE}")
    site.database.execute(f"GRANT USAGE ON bus_bus_id_seq TO {ROLE}")
    site.extra += ["--send"]
    return site


def use_tokens(site, channels):
    secret = Secret()
    secret.write(site.directory / "token.key")
    site.gateway.options.update(auth="token", token_keys=site.directory / "token.key")
    return secret.token(claims(channels))


def use_function(site):
    site.database.execute("CREATE FUNCTION app_authorize(request jsonb, channels text[]) RETURNS text[] LANGUAGE sql "
                          "AS $$ SELECT ARRAY(SELECT bus_channel(name) FROM unnest(channels) name) "
                          "WHERE request->'cookies'->>'sid' = 'anns' $$")
    site.gateway.options.update(auth="sql", auth_sql_function="app_authorize", sql_pass=["cookie:sid"])


def delivery(site, and_streams=True):
    """What is said of the notification; `and_streams`: an event stream can be tested."""
    checks = site.doctor()
    streams = next(check for check in checks if check["name"] == "proxy.buffering")
    assert streams["state"] == ("ok" if and_streams else "warning"), streams
    assert and_streams or ("not checked" in streams["found"] and "--token or --cookie" in streams["cure"]), streams
    found = [check for check in checks if check["name"] == "delivery" or check["state"] != "ok" and check is not streams]
    assert [check["name"] for check in found] == ["delivery"], found
    return found[0]


def test_with_a_token_a_notification_is_sent_on_a_channel_that_it_grants(sending_site):
    sending_site.extra += ["--token", use_tokens(sending_site, ["orders"]), "--channel", "orders"]
    found = delivery(sending_site)
    assert found["state"] == "ok" and "received through the proxy" in found["found"], found


def test_a_channel_that_the_token_does_not_grant_is_told(sending_site):
    sending_site.extra += ["--token", use_tokens(sending_site, ["orders"])]
    found = delivery(sending_site)
    assert found["state"] == "failed" and "odoo_bus_doctor is not granted directly" in found["found"], found
    assert sending_site.database.value("SELECT count(*) FROM bus_bus") == 0


def test_a_token_that_is_not_believed_is_told(sending_site):
    use_tokens(sending_site, ["orders"])
    sending_site.extra += ["--token", Secret(b"another secret of 32 bytes or so").token(claims(["orders"])), "--channel", "orders"]
    assert delivery(sending_site, and_streams=False)["state"] == "failed"


def test_streams_that_are_kept_back_are_found_by_a_token(site):
    nginx_keeps_streams_back(site)
    site.extra += ["--token", use_tokens(site, ["a b&c"]), "--channel", "a b&c"]
    assert [(check["name"], check["state"]) for check in complaints(site.doctor())] == [("proxy.buffering", "failed")]


def test_with_a_cookie_that_the_function_in_sql_knows_a_notification_is_sent(sending_site):
    use_function(sending_site)
    sending_site.extra += ["--cookie", "other=1; sid=anns"]
    found = delivery(sending_site)
    assert found["state"] == "ok" and "received through the proxy" in found["found"], found


def test_a_cookie_that_the_function_in_sql_does_not_know_is_told(sending_site):
    use_function(sending_site)
    sending_site.extra += ["--cookie", "sid=bobs"]
    assert delivery(sending_site, and_streams=False)["state"] == "failed"


def test_without_a_token_or_a_cookie_nothing_is_sent_and_that_is_told(sending_site):
    use_function(sending_site)
    found = delivery(sending_site, and_streams=False)
    assert found["state"] == "warning" and "--cookie" in found["cure"], found


@pytest.mark.parametrize("option, value", [("--channel", "a'b"), ("--channel", 'a"b'), ("--token", "a\r\nB: c"),
                                           ("--cookie", "a=b\nc")])
def test_what_would_break_out_of_its_place_is_refused(database, option, value):
    done = run_gateway("doctor", "--database", database.conninfo, "--auth", "open", "--send", option, value)
    assert done.returncode == 2 and f"{option}: " in done.stdout
    assert option == "--channel" or value not in done.stdout, "it is a secret"


def test_a_role_that_may_not_send_is_told(site):
    site.extra += ["--send"]
    assert [check["name"] for check in complaints(site.doctor())] == ["delivery"]


def test_nothing_is_changed_without_send(site):
    site.doctor()
    assert site.database.value("SELECT count(*) FROM bus_bus") == 0
    assert site.database.value("SELECT NOT is_called FROM bus_bus_id_seq")


def test_the_lines_and_a_mistake_in_the_configuration(database):
    done = run_gateway("doctor", "--database", database.conninfo, "--auth", "token")
    assert done.returncode == 2
    assert done.stdout.startswith("failed   configuration")
    assert "--token-keys" in done.stdout
    done = run_gateway("doctor", "--database", database.conninfo, "--url", "ftp://x")
    assert done.returncode == 2 and "is not a URL" in done.stdout
    help_text = run_gateway("doctor", "--help")
    assert help_text.returncode == 0 and "--send" in help_text.stdout
