#!/usr/bin/python3
"""The status page in a headless browser: what it shows, to whom, and who can misuse it.

    status_page.py --proxy PATH [--io_engine epoll] [--only WORD]
    status_page.py --proxy PATH --picture FILE     takes a picture of it, with real traffic in it
"""

import contextlib
import http.server
import json
import os
import random
import threading
import time

import pymysql

import life_cycle
import mysql_wire as wire
import observe
import processes
import servers
from browser import Browser
from options import add_only, make_parser, parse
from proxy import Proxy
from report import Report

LOOKED = "Number(document.body?.dataset.looks ?? 0)"
PICTURE_SECONDS = 124
PICTURE_SIZE = (1280, 1440)


def url_of(proxy):
    return f"http://127.0.0.1:{proxy.admin_port}/"


def shows(room, browser):
    """What is there, and that a user's name is only text."""
    report = room.report
    with room.proxy(workers=1) as proxy:
        socks = [observe.log_in(proxy.port, room.authority.ca) for _ in range(4)]
        socks.append(observe.log_in(proxy.port, None, observe.HOSTILE))
        observe.log_in(proxy.port, None, b"eve").close()
        browser.look(1280, 900)
        browser.open(url_of(proxy))
        browser.wait(LOOKED + " >= 2")
        text = browser.evaluate("document.body.innerText")
        tile = browser.evaluate("document.querySelector('#tile-open .value').textContent")
        report.equal("page: open connections", tile, "5")
        for word in ("serving", room.server.address, "preferred", "TLSv1.3", "ann", "login failed",
                     "mysql_native_password: refused by server", "127.0.0.1"):
            report.check(f"page: shows {word}", word in text, text[:2000])
        report.check("page: the certificate's end", "days)" in browser.evaluate(
            "document.getElementById('certificates').innerText"))
        cell = browser.evaluate("[...document.querySelectorAll('#session-table td')].map("
                                "cell => cell.textContent).find(text => text.includes('owned'))")
        report.check("page: a hostile name is shown as it is", str(cell).startswith(
            "<script>document.title='owned'</script><img src=x onerror=e()>"), repr(cell))
        report.equal("page: and was not obeyed", browser.evaluate(
            "[document.title, document.scripts.length, document.images.length]"),
            ["Sallyport", 1, 1])
        for sock in socks:
            sock.close()
        browser.wait("document.querySelector('#tile-open .value').textContent == '0'")
        report.check("page: sessions that went are gone", "no sessions" in browser.evaluate(
            "document.getElementById('session-table').innerText"))
    browser.wait("document.getElementById('state').textContent == 'no answer'", 30)
    report.check("page: says when the proxy is gone", True)


def keeps_to_itself(room, browser):
    """Nothing from elsewhere, nothing that the policy forbids, no error."""
    with room.proxy() as proxy:
        browser.open("about:blank")
        browser.wait("location.href == 'about:blank'")
        browser.events.clear()
        browser.open(url_of(proxy))
        browser.wait(LOOKED + " >= 2")
        asked = {event["request"]["url"] for event in browser.reported("Network.requestWillBeSent")}
        room.report.check("page: loads from the proxy alone", asked and all(
            url.startswith(url_of(proxy)) for url in asked), str(asked))
        errors = [entry["entry"]["text"] for entry in browser.reported("Log.entryAdded")]
        errors += [str(event) for event in browser.reported("Runtime.exceptionThrown")]
        room.report.equal("page: no errors, no violations", errors, [])
        forbidden = browser.evaluate("""(async () => {
            const seen = [];
            document.addEventListener('securitypolicyviolation',
                                      event => seen.push(event.effectiveDirective));
            const script = document.createElement('script');
            script.textContent = 'window.ran = true';
            document.body.append(script);
            document.body.setAttribute('style', 'display: none');
            await fetch('http://127.0.0.1:1/').catch(() => {});
            await new Promise(done => setTimeout(done, 200));
            return [window.ran ?? false, getComputedStyle(document.body).display, ...seen.sort()];
        })()""")
        room.report.equal("page: its policy forbids inline scripts and styles, and other hosts",
                          forbidden, [False, "block", "connect-src", "script-src-elem",
                                      "style-src-attr"])


def luminance(color):
    def linear(part):
        part /= 255
        return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
    red, green, blue = (linear(int(color[i:i + 2], 16)) for i in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def everybody_can_read(room, browser):
    report = room.report
    with room.proxy() as proxy:
        sock = observe.log_in(proxy.port, room.authority.ca, b"a" * 120)
        grounds = []
        for scheme in ("light", "dark"):
            browser.look(1280, 900, scheme)
            browser.open(url_of(proxy))
            browser.wait(LOOKED + " >= 1")
            colors = browser.evaluate("""Object.fromEntries(
                ['ground', 'card', 'ink', 'quiet', 'accent', 'accent-2', 'good', 'warn', 'bad'].map(
                name => [name, getComputedStyle(document.documentElement)
                .getPropertyValue('--' + name).trim()]))""")
            grounds.append(colors["ground"])
            weak = {f"{name} on {ground}": contrast(color, colors[ground])
                    for name, color in colors.items() for ground in ("ground", "card")
                    if name not in ("ground", "card") and contrast(color, colors[ground]) < 4.5}
            report.equal(f"page, {scheme}: every colour can be read (WCAG AA)", weak, {})
        report.check("page: light and dark differ", grounds[0] != grounds[1], str(grounds))
        for width in (320, 768, 1920):
            browser.look(width, 800)
            report.check(f"page: fits {width} pixels", browser.evaluate(
                "document.documentElement.scrollWidth") <= width)
        found = browser.evaluate("""({
            lang: document.documentElement.lang,
            charts: document.querySelectorAll('svg').length,
            unnamed: [...document.querySelectorAll('svg')].filter(
                svg => svg.getAttribute('role') != 'img' || !svg.getAttribute('aria-label')).length,
            tables: document.querySelectorAll('table').length,
            bare: [...document.querySelectorAll('table')].filter(table => !table.caption ||
                table.querySelector('th:not([scope])')).length,
            levels: [...document.querySelectorAll('h1, h2, h3')].map(h => h.localName).join(' '),
            live: document.getElementById('state').getAttribute('role')})""")
        report.equal("page: charts and tables have names", (
            found["lang"], found["unnamed"], found["bare"], found["live"]), ("en", 0, 0, "status"))
        report.equal("page: charts and tables", (found["charts"], found["tables"]), (8, 7))
        report.check("page: headings in order", found["levels"].startswith("h1 h2 h3"), str(found))
        sock.close()


class Elsewhere(http.server.BaseHTTPRequestHandler):
    """A page that an operator should not have opened."""

    def do_GET(self):  # pylint: disable=invalid-name
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>kittens</title><form method=post></form>")

    def log_message(self, *_arguments):  # pylint: disable=arguments-differ
        pass


def strangers_can_do_nothing(room, browser):
    """A page of another origin, in the browser of somebody who may do everything."""
    report = room.report
    with room.proxy() as proxy, http.server.ThreadingHTTPServer(("127.0.0.1", 0),
                                                               Elsewhere) as evil:
        threading.Thread(target=evil.serve_forever, daemon=True).start()
        sock = observe.log_in(proxy.port)
        target = f"{url_of(proxy)}sessions/close?id={observe.sessions(proxy)[0]['id']}"
        browser.open(f"http://localhost:{evil.server_address[1]}/")
        browser.wait("document.title == 'kittens'")
        tried = browser.evaluate("""(async () => {
            const url = %s, tried = [];
            for (const options of [{method: 'POST'}, {method: 'POST', mode: 'no-cors'},
                {method: 'POST', headers: {'X-Sallyport': '1'}},
                {method: 'POST', mode: 'no-cors', headers: {'X-Sallyport': '1'}}]) {
              tried.push(await fetch(url, options).then(r => r.type + r.status, () => 'refused'));
            }
            for (const path of ['status.json', 'sessions.json', 'metrics']) {
              tried.push(await fetch(new URL(path, url)).then(r => 'read', () => 'refused'));
            }
            navigator.sendBeacon(url, '');
            return tried;
        })()""" % json.dumps(target))
        report.equal("a page of others: can't close, can't read", tried, [
            "refused", "opaque0", "refused", "opaque0", "refused", "refused", "refused"])
        browser.evaluate(f"document.forms[0].action = {json.dumps(target)};"
                         "document.forms[0].submit()")
        time.sleep(0.5)
        report.check("a page of others: the session lives", life_cycle.answers(sock))
        report.equal("while the operator can", observe.post(
            proxy, target.removeprefix(url_of(proxy).rstrip("/"))), 200)
        sock.close()
        evil.shutdown()


# --- The picture.

USERS = ("orders", "billing", "reports", "backup")


def come_and_go(ports, ca, stop, number):
    """One application: sessions that begin, ask, and end, now more and now less."""
    dice = random.Random(number)
    user = USERS[number % len(USERS)]
    while not stop.is_set():
        with contextlib.suppress(pymysql.Error, OSError):
            with contextlib.closing(pymysql.connect(
                    host="127.0.0.1", port=ports[user == "reports"], user=user, database="test",
                    bind_address=f"127.0.0.{2 + number % 7}",
                    password=user if dice.random() < 0.97 else "wrong",
                    ssl={"ca": ca} if dice.random() < 0.9 else None)) as connection:
                cursor = connection.cursor()
                for _ in range(dice.randint(3, 60)):
                    cursor.execute("SELECT repeat('x', %s)", (dice.choice((10, 1000, 200_000)),))
                    cursor.fetchall()
                    wave = 1.2 + (time.monotonic() % 40 > 20) - dice.random()
                    if stop.wait(0.05 * wave):
                        break


def take_picture(options, folder):
    authority = servers.new_authority(folder)
    with servers.MariaDB(folder).start() as server:
        server.wait()
        for user in USERS:
            server.sql(f"CREATE USER {user} IDENTIFIED BY '{user}'; GRANT ALL ON test.* TO {user};")
        config = os.path.join(folder, "picture.toml")
        pair = authority.issue("proxy")
        with open(config, "w", encoding="ascii") as file:
            file.write(f'server = "127.0.0.1:{server.port}"\nworkers = 2\nmax_connections = 500\n'
                       f'tls_cert = "{pair[0]}"\ntls_key = "{pair[1]}"\n'
                       '[[listener]]\nname = "orders"\nlisten = "127.0.0.1:0"\n'
                       '[[listener]]\nname = "reports"\nlisten = "127.0.0.1:0"\n'
                       'tls_mode = "required"\n')
        with Proxy(options.proxy, "", config=config, io_engine=options.io_engine) as proxy:
            stop = threading.Event()
            listeners = json.loads(proxy.get("/status.json"))["listeners"]
            ports = [int(listener["addresses"][0].split(":")[-1]) for listener in listeners]
            threads = [threading.Thread(target=come_and_go, daemon=True, args=(
                ports, authority.ca, stop, number)) for number in range(24)]
            for thread in threads:
                thread.start()
            with Browser(folder) as browser:
                browser.look(*PICTURE_SIZE)
                browser.open(url_of(proxy))
                browser.wait(f"{LOOKED} >= {PICTURE_SECONDS // 2}", PICTURE_SECONDS * 2)
                image = browser.picture()
            stop.set()
            for thread in threads:
                thread.join()
    with open(options.picture, "wb") as file:
        file.write(image)
    print(f"{options.picture}: {len(image)} bytes")
    return 0


CHECKS = [shows, keeps_to_itself, everybody_can_read, strangers_can_do_nothing]


def main():
    parser = make_parser(__doc__)
    add_only(parser)
    parser.add_argument("--picture", metavar="FILE", help="take a picture instead")
    options = parse(parser)
    report = Report()
    with processes.test_folder() as folder:
        if options.picture:
            return take_picture(options, folder)
        with wire.FakeServer(observe.patient_server) as server, Browser(folder) as browser:
            room = life_cycle.Room(report, options, folder, server)
            report.attempt_each(CHECKS, options.only, room, browser)
    return report.exit_code()


if __name__ == "__main__":
    processes.run_main(main)
