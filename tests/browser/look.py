"""Loads pages in a headless Chromium and judges what it shows.

    look.py PICTURES PAGE=VERDICT:LANES ...      (LANES may be empty)

It speaks the DevTools protocol over a pipe: no port, no package beside Python's own. Of each page, at the widths of a desk and of a phone: nothing is loaded
but the page itself, no script fails and no dialog opens, nothing is wider than the window, every bar lies in its drawing, text stands out from its ground in
light, dark and print, the table heads sort, and there are as many lanes as slots.
"""
import base64, json, os, pathlib, re, select, subprocess, sys, tempfile, time

LIMIT = 120
WIDTHS = (1280, 400)


class Browser:
    def __init__(self, profile):
        to_read, to_write = os.pipe()
        from_read, from_write = os.pipe()

        def hand_over():
            # Chromium reads commands from 3 and answers on 4. Copied out of the way first: either may be the number of the other.
            ours, theirs = os.dup(to_read), os.dup(from_write)
            os.dup2(ours, 3)
            os.dup2(theirs, 4)

        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
                 "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--remote-debugging-pipe", f"--user-data-dir={profile}", "about:blank"]
        self.process = subprocess.Popen(["chromium", *flags], preexec_fn=hand_over, close_fds=False, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=open(os.path.join(profile, "said"), "w"))
        os.close(to_read)
        os.close(from_write)
        self.to, self.answers, self.rest = to_write, from_read, b""
        self.number, self.session, self.events = 0, None, []

    def read(self, until):
        while b"\0" not in self.rest:
            ready, _, _ = select.select([self.answers], [], [], max(0, until - time.monotonic()))
            if not ready:
                raise SystemExit("look.py: the browser did not answer in time")
            part = os.read(self.answers, 1 << 20)
            if not part:
                raise SystemExit("look.py: the browser ended")
            self.rest += part
        message, self.rest = self.rest.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.to, data):]
        until = time.monotonic() + LIMIT
        while True:
            answer = self.read(until)
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise SystemExit(f"look.py: {method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def wait_for(self, method):
        until = time.monotonic() + LIMIT
        while not any(event.get("method") == method for event in self.events):
            self.events.append(self.read(until))

    def value(self, script):
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        if "exceptionDetails" in result:
            raise SystemExit(f"look.py: {script}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def open(self):
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def close(self):
        self.session = None
        self.number += 1
        os.write(self.to, json.dumps({"id": self.number, "method": "Browser.close"}).encode() + b"\0")
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


CONTRAST = """(() => {
  const light = rgb => { const [r, g, b] = rgb.match(/[\\d.]+/g).map(Number).map(v => v / 255).map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126 * r + .7152 * g + .0722 * b; };
  const ground = light(getComputedStyle(document.documentElement).backgroundColor);
  const ratio = element => { const ink = light(getComputedStyle(element).color); return (Math.max(ink, ground) + .05) / (Math.min(ink, ground) + .05); };
  return Math.min(...[...document.querySelectorAll('h1, p, dt, dd, td, th, .verdict')].filter(e => e.textContent.trim()).map(ratio));
})()"""
OUTSIDE = """(() => [...document.querySelectorAll('svg rect')].filter(rect => { const a = rect.getBoundingClientRect(), b = rect.ownerSVGElement.getBoundingClientRect();
  return a.width <= 0 || a.height <= 0 || a.left < b.left - 3 || a.right > b.right + 3 || a.top < b.top - 3 || a.bottom > b.bottom + 3; }).length)()"""
SORTS = """(() => { const head = document.querySelector('#workers th.n'); if (!head) return 'nothing to sort'; head.click(); const down = head.getAttribute('aria-sort'); head.click();
  const values = [...head.closest('table').tBodies[0].rows].map(row => Number(row.cells[head.cellIndex].dataset.v));
  return down === 'descending' && head.getAttribute('aria-sort') === 'ascending' && values.every((value, at) => at === 0 || values[at - 1] <= value) ? 'sorted' : 'unsorted ' + values; })()"""


def judge(browser, page, verdict, lanes, pictures, faults):
    def want(what, found, good):
        if not good:
            faults.append(f"{page}: {what}: {found}")

    url = pathlib.Path(page).resolve().as_uri()
    name = re.sub(r"[^a-z0-9]+", "-", page.lower()).strip("-").removesuffix("-html")
    browser.call("Emulation.setDeviceMetricsOverride", width=WIDTHS[0], height=1000, deviceScaleFactor=1, mobile=False)
    browser.events.clear()
    browser.call("Page.navigate", url=url)
    browser.wait_for("Page.loadEventFired")
    want("its verdict", browser.value("document.querySelector('.verdict')?.textContent"), browser.value("document.querySelector('.verdict')?.textContent") == verdict)
    if lanes:
        found = browser.value("document.querySelectorAll('svg.slots g.lane').length")
        want(f"lanes, of {lanes} slots", found, found == int(lanes))
        want("bars outside of their drawing", browser.value(OUTSIDE), browser.value(OUTSIDE) == 0)
        want("its tables", browser.value(SORTS), browser.value(SORTS) in ("sorted", "nothing to sort"))
    for width in WIDTHS:
        browser.call("Emulation.setDeviceMetricsOverride", width=width, height=1000, deviceScaleFactor=1, mobile=False)
        for scheme in ("light", "dark"):
            browser.call("Emulation.setEmulatedMedia", media="screen", features=[{"name": "prefers-color-scheme", "value": scheme}])
            wide = browser.value("document.documentElement.scrollWidth")
            want(f"wide at {width} px", wide, wide <= width)
            contrast = browser.value(CONTRAST)
            want(f"least contrast of words, {scheme}", contrast, contrast >= 4.5)
            shot = browser.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
            pathlib.Path(pictures, f"{name}-{width}-{scheme}.png").write_bytes(base64.b64decode(shot["data"]))
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    want("dark ground", browser.value(ground), sum(map(int, re.findall(r"\d+", browser.value(ground))[:3])) < 150)
    browser.call("Emulation.setEmulatedMedia", media="print", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    want("ground in print", browser.value(ground), browser.value(ground) == "rgb(255, 255, 255)" or "status" in page)
    browser.call("Emulation.setEmulatedMedia", media="screen", features=[])
    want("markup from the job", browser.value("document.querySelectorAll('img, b b, iframe').length"), browser.value("document.querySelectorAll('img, iframe').length") == 0)
    for event in browser.events:
        method, params = event.get("method"), event.get("params", {})
        if method == "Network.requestWillBeSent":
            to = params["request"]["url"]
            want("asks for", to, to == url or to.startswith("data:"))
        if method == "Page.javascriptDialogOpening":
            want("opens a dialog", params, False)
        if method == "Runtime.exceptionThrown" or method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            want("says", params, False)
        if method == "Runtime.consoleAPICalled":
            want("says", params.get("args"), False)


def main():
    pictures, pages, faults = sys.argv[1], sys.argv[2:], []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Browser(profile)
        try:
            browser.open()
            for asked in pages:
                page, judged = asked.rsplit("=", 1)
                verdict, lanes = judged.split(":")
                judge(browser, page, verdict, lanes, pictures, faults)
        finally:
            browser.close()
    for fault in faults:
        print(f"look.py: {fault}", file=sys.stderr)
    sys.exit(1 if faults else 0)


main()
