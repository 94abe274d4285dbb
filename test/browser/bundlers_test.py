"""bus_service.js, installed from its npm package, in applications that bundlers have built."""
import json
import os
import shutil
import subprocess
import tarfile
from urllib.parse import urlencode

import pytest

from chromium import Browser
from firefox import Firefox, is_missing
from harness.deadline import DEADLINE
from harness.doc_page import blocks
from harness.nginx import Nginx
from harness.ports import reserve_port
from harness.system import ROOT
from harness.tokens import Secret, claims
from harness.wait import until
from project import COMMANDS, INSTALLED, SOURCES, TESTED, Project

pytestmark = pytest.mark.skipif(not INSTALLED.exists(), reason="no bundlers: run deploy/install-dependencies")
FIREFOX = pytest.param(Firefox, marks=pytest.mark.skipif(is_missing(), reason="no firefox-esr"))
README = (ROOT / "client/README.md").read_text()


def if_tested(bundler, *more, **options):
    """A parameter, which is skipped unless this bundler is tested."""
    marks = pytest.mark.skipif(bundler not in TESTED, reason="not in ODOO_BUS_TEST_BUNDLERS")
    return pytest.param(bundler, *more, marks=marks, **options)


def only(*bundlers):
    return pytest.mark.parametrize("bundler", map(if_tested, bundlers))


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return Project(tmp_path_factory.mktemp("project") / "application")


@pytest.fixture(params=map(if_tested, COMMANDS))
def bundler(request):
    return request.param


@pytest.fixture(params=[Browser], scope="module")
def browser(request):
    """Each test has an origin of its own, where the application has not run yet."""
    browser = request.param()
    yield browser
    browser.close()


@pytest.fixture
def serve(gateway):
    """serve(directory): its address, at an nginx that passes on to the gateway what is its."""
    started = []

    def serve(directory, **options):
        started.append(Nginx(gateway.port, files=[directory], **options).start())
        return started[-1].url()
    yield serve
    for nginx in started:
        nginx.stop()


@pytest.fixture
def check_tabs(browser, gateway, database):
    """Opens two tabs. The application runs in both, and only there, both receive, over so many connections; if these are
    two, each tab is told once what to do."""
    def check(url, connections, told="", **query):
        for tab in ("main", "second"):
            browser.tab(tab).goto(f"{url}?{urlencode(query)}")
            until(lambda: browser.evaluate("globalThis.ready"), lambda: "it is not subscribed")
        database.sendone("a", payload="hello")
        for tab in ("main", "second"):
            browser.tab(tab)
            until(lambda: browser.evaluate("received.length"), lambda: "nothing was received")  # a policy may forbid wait()
            assert browser.evaluate("received") == ["hello"]
            warnings = browser.evaluate("warnings")
            assert len(warnings) == connections - 1 and all(told in warning for warning in warnings)
        assert browser.evaluate("runs()") == ["page", "page"]
        # That by which a page has loaded a script may take a moment to be closed.
        until(lambda: gateway.established() == connections, lambda: f"{gateway.established()} connections are open")
    return check


@pytest.mark.parametrize("browser", [Browser, FIREFOX], indirect=True, scope="module")
def test_two_tabs_share_one_connection(bundler, project, serve, check_tabs):
    check_tabs(serve(project.build(bundler)), 1)


def elsewhere(gateway, **options):
    """The options of a page whose gateway is at another origin."""
    return json.dumps({"url": f"http://127.0.0.1:{gateway.port}/", **options})


@pytest.fixture
def site(serve, gateway):
    """site(directory): as serve(), from an origin that the gateway allows."""
    def site(directory):
        port = reserve_port()
        gateway.options["allowed_origin"] = f"http://127.0.0.1:{port}"
        gateway.terminate()
        gateway.start()
        return serve(directory, port=port)
    return site


@pytest.mark.parametrize("browser", [Browser, FIREFOX], indirect=True, scope="module")
@only("vite", "webpack")
def test_a_gateway_of_another_origin_needs_the_copy_that_these_make(bundler, project, site, gateway, check_tabs):
    check_tabs(site(project.build(bundler)), 1, options=elsewhere(gateway))


@only("esbuild")
def test_a_gateway_of_another_origin_needs_the_option(bundler, project, site, gateway, check_tabs):
    check_tabs(site(project.build(bundler)), 2, "pass its address as workerUrl", options=elsewhere(gateway))


@only("esbuild")
@pytest.mark.parametrize("name", ["bus_service.js", "worker.js"])
def test_the_option(bundler, project, site, gateway, check_tabs, tmp_path, name):
    """The script as it is, or built as an entry of its own."""
    directory = shutil.copytree(project.build(bundler, options=["worker=odoo-bus-service/worker"]), tmp_path / "site")
    shutil.copy(project.installed / "bus_service.js", directory)
    check_tabs(site(directory), 1, options=elsewhere(gateway, workerUrl=f"/{name}"))


@pytest.mark.parametrize("is_same_origin", [True, False])
def test_without_a_bundler(project, serve, site, gateway, check_tabs, tmp_path, is_same_origin):
    """A page that loads the script beside it."""
    directory = tmp_path / "site"
    directory.mkdir()
    for path in (project.installed / "bus_service.js", SOURCES / "app.js", SOURCES / "watch.js"):
        shutil.copy(path, directory)
    names = '<script type="importmap">{"imports": {"odoo-bus-service": "./bus_service.js"}}</script>'
    (directory / "index.html").write_text(names + (SOURCES / "index.html").read_text())
    if is_same_origin:
        check_tabs(serve(directory), 1)
    else:
        check_tabs(site(directory), 1, options=elsewhere(gateway))


@only("esbuild")
def test_a_bundle_that_has_the_name_of_the_script(bundler, project, serve, check_tabs):
    project.write("bus_service.js", 'import "./app.js";')
    check_tabs(serve(project.build(bundler, "bus_service.js")), 1)


@only("esbuild")
def test_a_bundle_that_is_no_module(bundler, project, serve, check_tabs):
    check_tabs(serve(project.build(bundler, options=["--format=iife"])), 1)


@pytest.mark.parametrize("policy, connections, told", [
    ("default-src 'self'", 1, ""),
    ("worker-src 'none'", 2, "allow it in worker-src"),
])
def test_a_content_security_policy(bundler, project, serve, check_tabs, tmp_path, policy, connections, told):
    directory = shutil.copytree(project.build(bundler), tmp_path / "site")
    page = (directory / "index.html").read_text()
    meta = f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    (directory / "index.html").write_text(page.replace("<title>", f"{meta}<title>"))
    check_tabs(serve(directory), connections, told)


@only("esbuild")
def test_a_gateway_whose_script_is_not_served(bundler, project, serve, check_tabs):
    url = serve(project.build(bundler), changes=[("location = /bus/bus_service.js", "location = /elsewhere")])
    check_tabs(url, 2, f"no worker was started from {url}bus/bus_service.js: ")


@only("esbuild")
def test_a_browser_without_shared_workers(bundler, project, serve, check_tabs):
    check_tabs(serve(project.build(bundler)), 2, "this browser has no SharedWorker", without="SharedWorker")


@pytest.fixture
def vite_server(project, gateway, browser):
    """Vite as one develops with it: from the sources, with what it makes of packages."""
    port = reserve_port()
    environment = {**os.environ, "GATEWAY": f"http://127.0.0.1:{gateway.port}"}
    command = [INSTALLED / ".bin" / "vite", "--host", "127.0.0.1", "--port", str(port), "--strictPort"]
    shutil.copy(SOURCES / "index.html", project.directory)
    process = subprocess.Popen(command, cwd=project.directory, env=environment, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert any("Local:" in line for line in process.stdout), "Vite has not started"
    yield f"http://127.0.0.1:{port}/"
    process.terminate()
    process.communicate()


@only("vite")
def test_vite_while_one_develops(bundler, vite_server, check_tabs):
    check_tabs(vite_server, 1)


@pytest.mark.parametrize("bundler, language, name, options", [
    if_tested("esbuild", "jsx", "react.jsx", ["--jsx=automatic"], id="react"),
    if_tested("vite", "vue", "vue.vue", [], id="vue"),
    if_tested("webpack", "js", "owl.js", [], id="owl"),
])
def test_an_example(bundler, language, name, options, project, serve, browser, database):
    """Those of client/README.md."""
    [text] = blocks(README, language)
    assert len(text.splitlines()) <= 25
    project.write(name, text)
    entry = f"{name.split('.')[0]}_app.js"
    mount = 'import { createApp } from "vue";\nimport Orders from "./vue.vue";\ncreateApp(Orders).mount("#root");'
    project.write(entry, mount if language == "vue" else f'import "./{name}";')
    browser.goto(serve(project.build(bundler, entry, options=options)))
    items = "[...document.querySelectorAll('#root li')].map(({ textContent }) => textContent)"
    for n in range(3):
        database.sendone("orders", payload={"name": f"order {n}"})
        browser.wait(f"{items}.length === {n + 1}")
    assert browser.evaluate(items) == ["order 0", "order 1", "order 2"]


def test_the_package_has_what_is_published_and_nothing_else(project):
    with tarfile.open(project.directory / project.package) as package:
        names = sorted(name.removeprefix("package/") for name in package.getnames())
    assert names == ["LICENSE", "README.md", "bus_service.d.ts", "bus_service.js", "package.json"]
    assert (ROOT / "client/LICENSE").read_text() == (ROOT / "LICENSE").read_text()


@pytest.mark.parametrize("module, resolution", [("nodenext", "nodenext"), ("esnext", "bundler")])
def test_its_types(project, module, resolution):
    project.tool("tsc", "--noEmit", "--strict", "--target", "es2022", "--lib", "es2022,dom", "--skipDefaultLibCheck",
                 "--module", module, "--moduleResolution", resolution, "types.ts")


NODE = """
import { BusService } from "odoo-bus-service";
const [, , url, token, has] = process.argv;
if (has === "no WebSocket") delete globalThis.WebSocket;
const bus = new BusService({ url, token: () => token });
await bus.addChannel("a", ({ payload }) => {
  console.log(payload, bus.transport);
  bus.stop();
});
console.log("subscribed");
"""


@pytest.mark.parametrize("has, transport", [("no WebSocket", "events"), ("WebSocket", "websocket")])
def test_node(project, make_gateway, database, tmp_path, has, transport):
    """Node 20 has no WebSocket, Node 22 has one."""
    version = int(project.run("node", "-p", "process.versions.node.split('.')[0]"))
    if version < 20:
        pytest.skip("needs Node 20")
    secret = Secret()
    gateway = make_gateway(database, auth="token", token_keys=secret.write(tmp_path / "keys")).start()
    flags = ["--experimental-websocket"] if has == "WebSocket" and version < 22 else []
    project.write("node.mjs", NODE)
    command = ["node", *flags, "node.mjs", f"http://127.0.0.1:{gateway.port}/", secret.token(claims(["a"])), has]
    node = subprocess.Popen(command, cwd=project.directory, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    assert node.stdout.readline() == "subscribed\n"
    database.sendone("a", payload="hello")
    assert node.stdout.readline() == f"hello {transport}\n"
    assert node.wait(DEADLINE) == 0
