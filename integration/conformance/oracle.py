#!/usr/bin/env python3
"""oracle.py - drive unit files under a supervisor and record / compare traces.

  oracle.py record [-j N] [-n RUNS] [--only-missing] CASE...   write expected.json
  oracle.py check  --driver drivers/X.json [-j N] CASE...      run and compare
  oracle.py run    --driver drivers/X.json CASE                run once, print the trace
  oracle.py diff   EXPECTED.json TRACE.json                    compare two files
  oracle.py list                                               table of cases

CASE is a folder below cases/ ("restart/always-exit0"), an area ("restart") or a
shell pattern.  Everything supervisor-specific lives in the driver's JSON file.
"""
import argparse, fnmatch, json, os, re, select, shlex, shutil, subprocess, sys, tempfile, threading, time
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(os.path.abspath(__file__))
CASES = os.path.join(HERE, "cases")
WORK = os.environ.get("ORACLE_WORK") or os.path.join(tempfile.gettempdir(), "oracle-work")
UNIT_EXT = (".service", ".target", ".socket", ".slice", ".timer", ".path", ".mount")
BASE_PROPS = ["LoadState", "ActiveState", "SubState", "Result", "NRestarts", "ExecMainCode", "ExecMainStatus",
              "MainPID", "ControlPID", "StatusText", "StatusErrno", "ConditionResult", "AssertResult"]
# the capabilities every ordinary Docker container has; capability sets are compared inside this window
DOCKER_CAPS = {0: "CHOWN", 1: "DAC_OVERRIDE", 3: "FOWNER", 4: "FSETID", 5: "KILL", 6: "SETGID", 7: "SETUID",
               8: "SETPCAP", 10: "NET_BIND_SERVICE", 13: "NET_RAW", 18: "SYS_CHROOT", 27: "MKNOD",
               29: "AUDIT_WRITE", 31: "SETFCAP"}
SIGN = {1: "HUP", 2: "INT", 3: "QUIT", 4: "ILL", 5: "TRAP", 6: "ABRT", 7: "BUS", 8: "FPE", 9: "KILL", 10: "USR1",
        11: "SEGV", 12: "USR2", 13: "PIPE", 14: "ALRM", 15: "TERM", 17: "CHLD", 18: "CONT", 19: "STOP", 20: "TSTP",
        21: "TTIN", 22: "TTOU", 24: "XCPU", 25: "XFSZ", 28: "WINCH", 29: "IO", 30: "PWR", 31: "SYS"}
# facts that belong to the machine or the log transport, never compared unless a case asks ("facts.only")
INFO_FACTS = ["env.LANG", "env.JOURNAL_STREAM", "env.MEMORY_PRESSURE_*", "limit.*", "cap_full.*", "timerslack",
              "pdeathsig", "fd1==fd2", "dumpable"]
TOL = 0.45
# what the drivers of tinysvc add to Docker's capabilities; the Rust runner chooses it for each case
CAPS = os.environ.get("ORACLE_CAPS", "")


class Fail(Exception):
    pass


# ------------------------------------------------------------------ driver
class Box:
    """one running supervisor environment plus a shell inside it"""
    seq = 0
    lock = threading.Lock()

    def __init__(self, drv):
        self.d = drv
        with Box.lock:
            Box.seq += 1
            n = Box.seq
        self.name = "oracle-%s-%d-%d" % (drv["name"], os.getpid(), n)
        self.share = os.path.join(WORK, self.name)
        self.sh = None

    def sub(self, s, **kw):
        kw.update(name=self.name, share=self.share, here=HERE, tinysvc=os.environ.get("TINYSVC", "target/tinysvc"), caps=CAPS)
        for k, v in kw.items():
            s = s.replace("{%s}" % k, v)
        return s

    def up(self):
        shutil.rmtree(self.share, ignore_errors=True)
        for p in ("bin", "trace", "var", "case"):
            os.makedirs(os.path.join(self.share, p))
        os.chmod(self.share, 0o755)
        os.chmod(os.path.join(self.share, "var"), 0o1777)
        shutil.copy(build_helper(), os.path.join(self.share, "bin", "ot"))
        r = subprocess.run([self.sub(a) for a in self.d["up"]], capture_output=True, text=True)
        if r.returncode:
            raise Fail("up: " + r.stderr)
        for _ in range(50):
            self.sh = subprocess.Popen([self.sub(a) for a in self.d["shell"]], stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            try:
                self.cmd("true", 5)
                break
            except Fail:
                time.sleep(0.2)
        if self.d.get("ready"):
            self.cmd(self.d["ready"], 40)
        self.version = self.cmd(self.d["version"])[1].strip()
        subprocess.run([self.sub(a) for a in self.d["spawn"]] + ["/oracle/bin/ot", "--collect", "/oracle/trace/log"],
                       capture_output=True)
        for _ in range(100):
            if os.path.exists(self.share + "/trace/log") and os.path.getsize(self.share + "/trace/log"):
                return self
            time.sleep(0.05)
        raise Fail("collector did not start")

    def down(self):
        try:
            if self.sh:
                self.sh.kill()
        except OSError:
            pass
        subprocess.run([self.sub(a) for a in self.d["down"]], capture_output=True)
        shutil.rmtree(self.share, ignore_errors=True)

    def cmd(self, c, timeout=60):
        """run a shell command inside; returns (rc, stdout)"""
        try:
            self.sh.stdin.write(("{ %s\n} 2>/dev/null </dev/null; echo \"@@RC $?\"\n" % c).encode())
            self.sh.stdin.flush()
        except OSError:
            raise Fail("shell gone")
        buf = b""
        end = time.monotonic() + timeout
        fd = self.sh.stdout.fileno()
        while True:
            left = end - time.monotonic()
            if left <= 0:
                raise Fail("timeout: " + c)
            if not select.select([fd], [], [], left)[0]:
                continue
            d = os.read(fd, 65536)
            if not d:
                raise Fail("shell gone")
            buf += d
            m = re.search(rb"@@RC (\d+)\n$", buf)
            if m:
                return int(m.group(1)), buf[:m.start()].decode(errors="replace")


_helper = None
_hlock = threading.Lock()


def build_helper():
    global _helper
    with _hlock:
        if _helper is None:
            os.makedirs(WORK, exist_ok=True)
            out = os.path.join(WORK, "ot.bin.%d" % os.getpid())
            src = os.path.join(HERE, "helper", "ot.c")
            r = subprocess.run(["cc", "-O1", "-w", "-static", "-o", out, src], capture_output=True, text=True)
            if r.returncode:
                raise Fail(r.stderr)
            _helper = out
    return _helper


# ------------------------------------------------------------------ running one case
class Run:
    def __init__(self, box, case):
        self.b = box
        self.case = case
        self.dir = os.path.join(CASES, case)
        self.j = json.load(open(os.path.join(self.dir, "case.json")))
        self.unit = self.j.get("unit", "t.service")
        self.steps = []
        self.shows = {}
        self.asyncs = []

    def units(self):
        u = [f for f in sorted(os.listdir(self.dir)) if f.endswith(UNIT_EXT)]
        for s in self.j.get("extra_units", []):   # instances of templates etc.
            u.append(s)
        return [x for x in u if "@." not in x]

    def raw(self):
        try:
            with open(self.b.share + "/trace/log") as f:
                f.seek(self.pos)
                d = f.read()
        except OSError:
            return []
        out = []
        for l in d.splitlines():
            if l.startswith("{") and l.endswith("}"):
                e = json.loads(l)
                for k, v in e.items():   # the helper escapes byte by byte
                    if isinstance(v, str) and not v.isascii():
                        e[k] = v.encode("latin-1").decode("utf-8", "replace")
                out.append(e)
        return out

    def named(self):
        """pid -> list of (t_start, t_dead, 'name#k')"""
        cnt, m, order = {}, {}, []
        ev = sorted((e for e in self.raw() if "t" in e), key=lambda e: e["t"])
        for e in ev:
            if e["ev"] == "start":
                cnt[e["name"]] = cnt.get(e["name"], 0) + 1
                m.setdefault(e["pid"], []).append([e["t"], None, "%s#%d" % (e["name"], cnt[e["name"]]), e["name"]])
            elif e["ev"] == "dead" and e["pid"] in m:
                for r in m[e["pid"]]:
                    if r[1] is None:
                        r[1] = e["t"]
        return m, ev

    def proc(self, name):
        m, _ = self.named()
        for pid, l in m.items():
            for r in l:
                if r[2] == name:
                    return pid
        raise Fail("no such process " + name)

    def install(self):
        d = self.b.d["unit_dir"]
        sh = self.b.share
        shutil.rmtree(sh + "/case", ignore_errors=True)
        shutil.copytree(self.dir, sh + "/case", ignore=shutil.ignore_patterns("expected*.json", "case.json"))
        for root, ds, fs in os.walk(sh + "/case"):
            os.chmod(root, 0o755)
            for f in fs:
                p = os.path.join(root, f)
                os.chmod(p, 0o755 if f.endswith(".sh") else 0o644)
        self.installed = [f for f in sorted(os.listdir(self.dir))
                          if f.endswith(UNIT_EXT) or re.search(r"\.(service|target|socket|slice)\.(d|wants|requires)$", f) or f == "service.d"]
        for f in self.installed:
            self.b.cmd("cp -rL /oracle/case/%s %s/" % (shlex.quote(f), d))
        self.b.cmd("rm -rf /oracle/var/* /oracle/var/.[a-z]*")
        for l in self.j.get("links", []):      # "alias target" symlinks in the unit dir
            a, t = l.split()
            self.b.cmd("mkdir -p $(dirname %s/%s); ln -sfn %s %s/%s" % (d, a, t, d, a))
            self.installed.append(a)
        for c in self.j.get("setup", []):
            self.b.cmd(c)
        # "installed" loads the units and keeps them loaded (systemd forgets the exit status of an unreferenced dead unit)
        self.b.cmd(self.b.sub(self.b.d.get("installed") or self.b.d["verbs"]["daemon-reload"],
                              units=" ".join(shlex.quote(u) for u in self.units() + self.j.get("cleanup_units", []))))
        self.pos = os.path.getsize(sh + "/trace/log")

    def go(self):
        self.install()
        for i, s in enumerate(self.j["steps"]):
            self.step(i, s)
        time.sleep(self.j.get("settle", 0.15))
        for u in self.j.get("show", self.units() if len(self.units()) > 1 else [self.unit]):
            self.shows["final"] = self.shows.get("final", {})
            self.shows["final"][u] = self.show(u)
        m, _ = self.named()
        alive = []
        for pid, l in m.items():
            r = l[-1]
            if r[1] is None and self.b.cmd("test -d /proc/%d" % pid)[0] == 0:
                st = self.b.cmd("sed -n 's/^State:.\\(.\\).*/\\1/p' /proc/%d/status" % pid)[1].strip()
                if st != "Z":
                    alive.append((r[2], pid))
        self.alive = alive
        time.sleep(0.05)
        tr = self.normalise()
        self.clean(alive)
        return tr

    def clean(self, alive):
        us = " ".join(shlex.quote(u) for u in self.units() + self.j.get("cleanup_units", []))
        ok = True
        for n, p in alive:
            self.b.cmd("kill -9 %d" % p)
        try:
            self.b.cmd(self.b.sub(self.b.d["cleanup"], units=us), 45)
            for n, p in alive:
                self.b.cmd("kill -9 %d" % p)
            for f in self.installed:
                self.b.cmd("rm -rf %s/%s" % (self.b.d["unit_dir"], shlex.quote(f)))
            for c in self.j.get("teardown", []):
                self.b.cmd(c)
            self.b.cmd(self.b.d["verbs"]["daemon-reload"])
            if self.b.d.get("gone"):
                out = self.b.cmd(self.b.sub(self.b.d["gone"], units=us))[1]
                for l in out.splitlines():
                    if "LoadState=not-found" not in l or "ActiveState=inactive" not in l:
                        ok = False
        except Fail:
            ok = False
        self.dirty = not ok or self.j.get("dirty", False)

    def show(self, unit, label=None):
        props = BASE_PROPS + self.j.get("props", [])
        out = self.b.cmd(self.b.sub(self.b.d["verbs"]["show"], props=",".join(props), unit=shlex.quote(unit)))[1]
        d = {}
        for l in out.splitlines():
            k, _, v = l.partition("=")
            if k in props:
                d[k] = v
        return d

    def step(self, i, s):
        st = {"do": s}
        self.steps.append(st)
        bg = s.endswith(" &")
        w = (s[:-2] if bg else s).split()
        verb, a = w[0], w[1:]
        self.b.cmd("/oracle/bin/ot --mark step-%d" % i)
        V = self.b.d["verbs"]
        t0 = time.monotonic()
        if verb == "wait":
            time.sleep(float(a[0]))
        elif verb == "await":            # await PROC#N EVENT-PREFIX TIMEOUT
            end = time.monotonic() + float(a[2])
            found = False
            while time.monotonic() < end and not found:
                m, ev = self.named()
                cur = {}
                for e in ev:
                    if e["ev"] == "mark":
                        continue
                    cur[e["pid"]] = next((r[2] for r in m.get(e["pid"], []) if r[3] == e["name"]), "?")
                    if cur[e["pid"]] == a[0] and text(e).startswith(a[1].replace("_", " ")):
                        found = True
                time.sleep(0.03)
            st["ok"] = found
        elif verb == "signal":           # signal PROC#N SIGNAL: the harness itself kills
            self.b.cmd("kill -%s %d" % (a[1], self.proc(a[0])))
        elif verb == "kill":             # kill WHOM SIGNAL [UNIT]: through the supervisor
            c = V["kill"].replace("{whom}", a[0]).replace("{signal}", a[1])
            st["ok"] = self.b.cmd(self.b.sub(c, units=a[2] if len(a) > 2 else self.unit))[0] == 0
        elif verb in ("is-active", "is-failed"):
            st["out"] = self.b.cmd(self.b.sub(V[verb], units=" ".join(a) or self.unit))[1].strip()
        elif verb == "show":             # show LABEL [UNIT]
            u = a[1] if len(a) > 1 else self.unit
            self.shows.setdefault(a[0] if a else "mid", {})[u] = self.show(u)
        elif verb == "sh":               # an observation inside the environment
            st["out"] = self.b.cmd(s[3:])[1].strip()
        elif verb == "unit-sed":         # unit-sed EXPR FILE: edit an installed unit file
            f = a[-1]
            self.b.cmd("sed -i %s %s/%s" % (shlex.quote(s.split(None, 1)[1][:-len(f)].strip()), self.b.d["unit_dir"], shlex.quote(f)))
        elif verb == "do":               # an action inside the environment, result ignored
            self.b.cmd(s[3:])
        elif verb in V:
            c = self.b.sub(V[verb], units=" ".join(shlex.quote(x) for x in a) or self.unit)
            if bg:
                self.b.cmd("( %s >/dev/null 2>&1; r=$?; /oracle/bin/ot --mark async-%d-$r ) >/dev/null 2>&1 </dev/null &" % (c, i))
            else:
                st["ok"] = self.b.cmd(c, 100)[0] == 0
        else:
            raise Fail("unknown verb " + verb)
        self.b.cmd("/oracle/bin/ot --mark end-%d" % i)

    # -------------------------------------------------------------- trace -> normal form
    def normalise(self):
        m, ev = self.named()
        t0 = next(e["t"] for e in ev if e["ev"] == "mark" and e["text"] == "step-0")
        rel = lambda t: round((t - t0) / 1000.0, 3)
        for e in ev:
            if e["ev"] != "mark":
                continue
            k, n, *r = e["text"].split("-")
            st = self.steps[int(n)]
            if k == "step":
                st["t"] = rel(e["t"])
            elif k == "end":
                if st["do"].split()[0] not in ("wait", "sh", "do", "unit-sed", "await", "show", "signal", "is-active", "is-failed", "kill") and not st["do"].endswith("&"):
                    st["dur"] = round(rel(e["t"]) - st["t"], 3)
            elif k == "async":
                st["ok"] = r[0] == "0"
                st["dur"] = round(rel(e["t"]) - st["t"], 3)
        for st in self.steps:
            if st["do"].endswith(" &") and "ok" not in st:
                st["ok"] = None   # still blocked at the end

        def pidname(p, t=None):
            p = int(p)
            if p == 1:
                return "supervisor"
            best = None
            for r in m.get(p, []):
                if t is None or r[0] <= t + 0.001 or (best is None and r[0] <= t + 1000):   # named before it reported itself
                    best = r[2]
            return best
        ppl = {}
        cur = {}
        for e in ev:
            if e["ev"] == "mark" or "pid" not in e:
                continue
            pid = e["pid"]
            if e["ev"] == "start":
                cur[pid] = pidname(pid, e["t"])
                par = pidname(e["ppid"], e["t"]) or "other"
                ppl[cur[pid]] = {"by": par, "session_leader": e["leader"] == "1", "pgrp_leader": e["pgleader"] == "1",
                                 "events": [], "t": [], "facts": {}, "end": "running", "t_start": rel(e["t"])}
                ppl[cur[pid]]["events"].append("start")
                ppl[cur[pid]]["t"].append(rel(e["t"]))
                continue
            p = ppl.get(cur.get(pid))
            if p is None:
                continue
            if e["ev"] == "fact":
                self.fact(p["facts"], e["k"], e["v"], pid, lambda x: pidname(x, e["t"]))
            elif e["ev"] == "dead":
                p["t_end"] = rel(e["t"])
                p["end"] = "dead"
            elif e["ev"] == "reaped":
                if e["status"] != "":
                    s = int(e["status"])
                    p["end"] = "exited %d" % (s >> 8) if not s & 0x7f else "killed %s" % SIGN.get(s & 0x7f, str(s & 0x7f))
                if "t_end" in p:
                    p["reap_delay"] = round(rel(e["t"]) - p["t_end"], 3)
            else:
                x = text(e)
                x = re.sub(r"\b(MAINPID|PID)=(\d+)", lambda q: q.group(1) + "=<%s>" % (pidname(q.group(2), e["t"]) or "?"), x)
                x = re.sub(r"MONOTONIC_USEC=\d+", "MONOTONIC_USEC=<now>", x)
                p["events"].append(x)
                p["t"].append(rel(e["t"]))
        for lab in self.shows.values():
            for d in lab.values():
                for k in ("MainPID", "ControlPID", "ExecMainPID"):
                    if k in d and d[k] not in ("0", ""):
                        d[k] = "<%s>" % (pidname(d[k]) or "other")
        return {"schema": 1, "case": self.case, "supervisor": self.b.version, "steps": self.steps, "procs": ppl,
                "show": self.shows, "survivors": sorted(n for n, p in self.alive)}

    def fact(self, f, k, v, pid, pn):
        if k.startswith("cap."):
            x = int(v, 16)
            f["cap_full." + k[4:]] = v
            v = " ".join(DOCKER_CAPS[i] for i in sorted(DOCKER_CAPS) if x >> i & 1)
            if x and len(v.split()) == len(DOCKER_CAPS):
                v = "all"
        elif k.startswith("sig."):
            x = int(v, 16)
            v = " ".join(SIGN.get(i, "RT%d" % i) for i in range(1, 65) if x >> (i - 1) & 1)
        elif k in ("env.INVOCATION_ID", "env.NOTIFY_SOCKET", "env.JOURNAL_STREAM", "env.MONITOR_INVOCATION_ID"):
            v = "<present>" if v != "<unset>" else v
        elif k in ("env.MAINPID", "env.SYSTEMD_EXEC_PID", "env.WATCHDOG_PID", "env.LISTEN_PID", "env.REMOTE_PORT") and v.isdigit():
            v = "<self>" if int(v) == pid else "<%s>" % (pn(v) or "other")
        elif k.startswith("argv.") and v.isdigit() and pn(v) and int(v) > 1:
            v = "<self>" if int(v) == pid else "<%s>" % pn(v)
        elif k in ("fd0", "fd1", "fd2"):
            if v in ("socket", "fifo"):
                v = "log"     # whatever pipe or socket the supervisor collects output with
        f[k] = v


def text(e):
    k = e["ev"]
    if k == "sig":
        return "sig %s by %s" % (e["sig"], e["by"])
    if k == "bye":
        return "bye %s" % e["code"]
    if k == "notify":
        return "notify %s -> %s" % (e["what"], e["r"])
    if k == "raise":
        return "raise %s" % e["sig"]
    if k == "log":
        return "log %s" % e["text"] + (" " + e["what"] if "what" in e else "")
    return k


# ------------------------------------------------------------------ ordering constraints
def flat(tr):
    """[(t, 'proc.i', proc, i, last)] of every event plus the end of each process"""
    o = []
    for n, p in tr["procs"].items():
        for i, x in enumerate(p["events"]):
            o.append((p["t"][i], n, i))
        if "t_end" in p:
            o.append((p["t_end"], n, "end"))
    return o


def before_pairs(trs, racy):
    """pairs (a, b) of events in different processes that came in this order in every recording, either because a whole
    process ended before the other began or because more than 150 ms lay between them; transitively reduced"""
    def rel(tr):
        s = set()
        P = tr["procs"]
        ev = flat(tr)
        for ta, pa, ia in ev:
            for tb, pb, ib in ev:
                if pa == pb or ta >= tb:
                    continue
                la = len(P[pa]["events"]) - 1
                serial = ib == 0 and ia == la and P[pa]["events"][la].startswith("bye")
                if tb - ta >= 0.15 or serial:
                    s.add(((pa, ia), (pb, ib)))
        return s
    common = set.intersection(*[rel(t) for t in trs])
    rn = [set(r) for r in racy]
    common = {(a, b) for a, b in common if {a[0].split("#")[0], b[0].split("#")[0]} not in rn}
    # reduce: include the in-process order when looking for a detour
    tr = trs[0]
    nodes = {}
    for t, p, i in flat(tr):
        nodes[(p, i)] = t
    succ = {}
    for a, b in common:
        succ.setdefault(a, set()).add(b)
    for p, d in tr["procs"].items():
        c = [(p, i) for i in range(len(d["events"]))] + ([(p, "end")] if "t_end" in d else [])
        for x, y in zip(c, c[1:]):
            succ.setdefault(x, set()).add(y)

    def reach(a, b, skip):
        seen, todo = set(), [y for y in succ.get(a, ()) if (a, y) != skip]
        while todo:
            x = todo.pop()
            if x == b:
                return True
            if x in seen:
                continue
            seen.add(x)
            todo += succ.get(x, ())
        return False
    out = []
    for a, b in sorted(common, key=lambda q: (nodes.get(q[0], 0), nodes.get(q[1], 0))):
        if not reach(a, b, (a, b)):
            out.append([evname(a), evname(b)])
        else:
            succ[a].discard(b)
    return out


def evname(x):
    return "%s:%s" % x


# ------------------------------------------------------------------ merge recordings into an expectation
def ignored(k, j):
    f = j.get("facts", {})
    if "only" in f:
        return not any(fnmatch.fnmatch(k, g) for g in f["only"]) or \
            (k not in f["only"] and any(fnmatch.fnmatch(k, g) for g in INFO_FACTS if g[:3] in ("env", "cap")))
    if any(fnmatch.fnmatch(k, g) for g in f.get("ignore", [])):
        return True
    return any(fnmatch.fnmatch(k, g) for g in INFO_FACTS)


def merge(case, j, trs):
    a = json.loads(json.dumps(trs[0]))
    notes, unstable = [], []
    base = j.get("tolerance", TOL)
    for t in trs[1:]:
        for i, (x, y) in enumerate(zip(a["steps"], t["steps"])):
            for k in ("ok", "out"):
                if x.get(k) != y.get(k):
                    unstable.append("steps[%d].%s: %r / %r" % (i, k, x.get(k), y.get(k)))
                    x.pop(k, None)
            if "dur" in x and "dur" in y:
                x["_d"] = max(x.get("_d", 0), abs(x["dur"] - y["dur"]))
        for n in sorted(set(a["procs"]) ^ set(t["procs"])):
            unstable.append("procs." + n + ": present in only one recording")
            a["procs"].pop(n, None)
        for n, p in a["procs"].items():
            q = t["procs"][n]
            if p["events"] != q["events"]:
                unstable.append("procs.%s.events: %r / %r" % (n, p["events"], q["events"]))
                k = 0
                while k < min(len(p["events"]), len(q["events"])) and p["events"][k] == q["events"][k]:
                    k += 1
                p["events"], p["t"] = p["events"][:k], p["t"][:k]
                p["open"] = True
            for k in ("by", "session_leader", "pgrp_leader", "end"):
                if p.get(k) != q.get(k):
                    if k not in p:
                        continue
                    if k == "end" and "dead" in (p[k], q[k]):
                        p[k] = p[k] if q[k] == "dead" else q[k]
                    else:
                        unstable.append("procs.%s.%s: %r / %r" % (n, k, p.get(k), q.get(k)))
                        p.pop(k, None)
            for k in sorted(set(p["facts"]) | set(q["facts"])):
                if p["facts"].get(k) != q["facts"].get(k):
                    if not ignored(k, j):
                        unstable.append("procs.%s.facts[%s]: %r / %r" % (n, k, p["facts"].get(k), q["facts"].get(k)))
                    p["facts"].pop(k, None)
            p["_d"] = max([p.get("_d", 0)] + [abs(x - y) for x, y in zip(p["t"], q["t"])])
            if "t_end" in p and "t_end" in q:
                p["_e"] = max(p.get("_e", 0), abs(p["t_end"] - q["t_end"]))
        for lab, us in a["show"].items():
            for u, d in us.items():
                for k in list(d):
                    if t["show"].get(lab, {}).get(u, {}).get(k) != d[k]:
                        unstable.append("show.%s.%s.%s: %r / %r" % (lab, u, k, d[k], t["show"][lab][u].get(k)))
                        d.pop(k)
        if a["survivors"] != t["survivors"]:
            unstable.append("survivors: %r / %r" % (a["survivors"], t["survivors"]))
            a["survivors"] = None
    a["before"] = before_pairs([x for x in trs], j.get("racy", [])) if not any("procs." in u for u in unstable) else []
    for p in a["procs"].values():
        spread = max(p.pop("_d", 0), p.pop("_e", 0))
        if base + 2 * spread > base * 1.5:
            p["tolerance"] = round(base + 2 * spread, 2)
        info = {k: p["facts"].pop(k) for k in list(p["facts"]) if ignored(k, j)}
        if info:
            p["info"] = info
        p.pop("reap_delay", None)
    for s in a["steps"]:
        d = s.pop("_d", 0)
        if 2 * d > base * 0.5:
            s["tolerance"] = round(base + 2 * d, 2)
    out = {"schema": 1, "case": case, "class": j["class"], "requires": j.get("requires", []),
           "supervisor": trs[0]["supervisor"], "recordings": len(trs), "tolerance": base,
           "compare": {"exact": ["steps[].ok", "steps[].out", "procs{} keys", "procs{}.by", "procs{}.session_leader",
                                 "procs{}.pgrp_leader", "procs{}.events", "procs{}.end", "procs{}.facts", "show", "survivors"],
                       "order": ["before"],
                       "within_tolerance": ["steps[].dur", "procs{}.t", "procs{}.t_end"],
                       "not_compared": ["steps[].t", "procs{}.info", "procs{}.t_start"]},
           "unstable": unstable}
    for k in ("steps", "procs", "before", "show", "survivors"):
        out[k] = a[k]
    return out


# ------------------------------------------------------------------ compare
def compare(exp, tr, notime=False):
    """list of differences, empty when the trace satisfies the expectation"""
    bad = []
    for i, (x, y) in enumerate(zip(exp["steps"], tr["steps"])):
        for k in ("ok", "out"):
            if k in x and x[k] != y.get(k):
                bad.append("step %d (%s) %s: expected %r, got %r" % (i, x["do"], k, x[k], y.get(k)))
        if "dur" in x and "dur" in y and not notime:
            tol = x.get("tolerance", exp["tolerance"])
            if abs(x["dur"] - y["dur"]) > tol:
                bad.append("step %d (%s) took %.2f s, expected %.2f +- %.2f" % (i, x["do"], y["dur"], x["dur"], tol))
    for n in sorted(set(exp["procs"]) - set(tr["procs"])):
        bad.append("process %s missing" % n)
    if not any("present in only one" in u for u in exp.get("unstable", [])):
        for n in sorted(set(tr["procs"]) - set(exp["procs"])):
            bad.append("unexpected process %s: %r" % (n, tr["procs"][n]["events"]))
    for n, p in exp["procs"].items():
        q = tr["procs"].get(n)
        if not q:
            continue
        for k in ("by", "session_leader", "pgrp_leader"):
            if k in p and p[k] != q[k]:
                bad.append("%s %s: expected %r, got %r" % (n, k, p[k], q[k]))
        if "end" in p and "dead" not in (p["end"], q["end"]) and p["end"] != q["end"]:
            bad.append("%s end: expected %r, got %r" % (n, p["end"], q["end"]))
        qe = q["events"][:len(p["events"])] if p.get("open") else q["events"]
        if p["events"] != qe:
            bad.append("%s events: expected %r, got %r" % (n, p["events"], q["events"]))
        elif not notime:
            # a time is right if it is close to the recorded one, absolutely or counted from the end of the same
            # command's previous run (or from its own start): timers may fire up to 250 ms late under systemd, which adds up
            tol = p.get("tolerance", exp["tolerance"])
            nm, k = n.rsplit("#", 1)
            pp, pq = exp["procs"].get("%s#%d" % (nm, int(k) - 1)), tr["procs"].get("%s#%d" % (nm, int(k) - 1))
            refs = [(0, 0)]
            if pp and pq and "t_end" in pp and "t_end" in pq:
                refs.append((pp["t_end"], pq["t_end"]))
            for x, t, u in list(zip(p["events"], p["t"], q["t"])) + ([("end", p["t_end"], q["t_end"])] if "t_end" in p and "t_end" in q else []):
                if all(abs((t - e) - (u - g)) > tol for e, g in refs):
                    bad.append("%s %s at %.2f s, expected %.2f +- %.2f" % (n, x, u, t, tol))
                if x == "start":
                    refs.append((t, u))
        for k, v in p["facts"].items():
            if q["facts"].get(k) != v:
                bad.append("%s fact %s: expected %r, got %r" % (n, k, v, q["facts"].get(k)))
        for k in q["facts"]:
            if k not in p["facts"] and k not in p.get("info", {}) and k.startswith("env.") and \
               not any(fnmatch.fnmatch(k, g) for g in INFO_FACTS) and not exp.get("unstable"):
                bad.append("%s extra fact %s=%r" % (n, k, q["facts"][k]))
    when = {}
    for t, p, i in flat(tr):
        when["%s:%s" % (p, i)] = t
    for a, b in exp["before"]:
        if a in when and b in when and when[a] > when[b] + 0.02:
            bad.append("order: %s should precede %s" % (a, b))
    for lab, us in exp["show"].items():
        for u, d in us.items():
            for k, v in d.items():
                g = tr["show"].get(lab, {}).get(u, {}).get(k)
                if g != v:
                    bad.append("show %s %s %s: expected %r, got %r" % (lab, u, k, v, g))
    if exp["survivors"] is not None and exp["survivors"] != tr["survivors"]:
        bad.append("survivors: expected %r, got %r" % (exp["survivors"], tr["survivors"]))
    return bad


# ------------------------------------------------------------------ pool
class Pool:
    def __init__(self, drv):
        self.drv = drv
        self.free = []
        self.all = []
        self.l = threading.Lock()

    def get(self):
        with self.l:
            if self.free:
                return self.free.pop()
        b = Box(self.drv)
        with self.l:
            self.all.append(b)
        return b.up()

    def put(self, b, dirty):
        if dirty:
            b.down()
            with self.l:
                self.all.remove(b)
        else:
            with self.l:
                self.free.append(b)

    def close(self):
        for b in self.all:
            b.down()


def one(pool, case, tries=2):
    for k in range(tries):
        b = pool.get()
        r = None
        try:
            r = Run(b, case)
            tr = r.go()
            pool.put(b, r.dirty)
            return tr, r
        except (Fail, StopIteration) as e:
            pool.put(b, True)
            err = e
    raise Fail("%s: %r" % (case, err))


def find(pats):
    allc = sorted(os.path.relpath(r, CASES) for r, d, f in os.walk(CASES) if "case.json" in f)
    if not pats:
        return allc
    out = []
    for p in pats:
        p = p.rstrip("/")
        hit = [c for c in allc if c == p or c.startswith(p + "/") or fnmatch.fnmatch(c, p)]
        if not hit:
            print("no case matches", p, file=sys.stderr)
        out += [c for c in hit if c not in out]
    return out


def slim(o):
    """json with short arrays on one line"""
    s = json.dumps(o, indent=1, ensure_ascii=False)
    return re.sub(r"\[\s+((?:[^\[\]{}]|\"(?:\\.|[^\"\\])*\")*?)\s+\]",
                  lambda m: "[" + re.sub(r",\n\s*", ", ", m.group(1)) + "]" if len(m.group(1)) < 400 and "\n" in m.group(0) else m.group(0), s) + "\n"


def main():
    ap = argparse.ArgumentParser()
    sp = ap.add_subparsers(dest="cmd", required=True)
    for n in ("record", "check", "run"):
        p = sp.add_parser(n)
        p.add_argument("--driver", default=os.path.join(HERE, "drivers", "systemd-docker.json"))
        p.add_argument("-j", type=int, default=2)
        p.add_argument("-n", type=int, default=2)
        p.add_argument("--only-missing", action="store_true")
        p.add_argument("--no-time", action="store_true", help="do not compare times")
        p.add_argument("--class", dest="klass")
        p.add_argument("--expected", default="expected.json", help="file name of the expectation inside the case folder")
        p.add_argument("--keep", help="folder for the traces of check")
        p.add_argument("cases", nargs="*")
    p = sp.add_parser("diff")
    p.add_argument("expected")
    p.add_argument("trace")
    sp.add_parser("list")
    a = ap.parse_args()
    if a.cmd == "list":
        for c in find([]):
            j = json.load(open(os.path.join(CASES, c, "case.json")))
            print("%-48s %-10s %s" % (c, j["class"], j["title"]))
        return 0
    if a.cmd == "diff":
        bad = compare(json.load(open(a.expected)), json.load(open(a.trace)))
        print("\n".join(bad) or "same")
        return 1 if bad else 0
    drv = json.load(open(a.driver))
    pool = Pool(drv)
    cases = find(a.cases)
    if a.klass:
        cases = [c for c in cases if json.load(open(os.path.join(CASES, c, "case.json")))["class"] == a.klass]
    if a.only_missing:
        cases = [c for c in cases if not os.path.exists(os.path.join(CASES, c, a.expected))]
    rc = [0]

    def work(c):
        try:
            if a.cmd == "run":
                tr, r = one(pool, c)
                print(slim(tr))
            elif a.cmd == "record":
                trs, r = [], None
                for _ in range(a.n):
                    tr, r = one(pool, c)
                    trs.append(tr)
                e = merge(c, r.j, trs)
                with open(os.path.join(CASES, c, a.expected), "w") as f:
                    f.write(slim(e))
                print("%s %s%s" % ("ok  " if not e["unstable"] else "LOOSE", c, "".join("\n       " + u for u in e["unstable"])), flush=True)
            else:
                e = json.load(open(os.path.join(CASES, c, a.expected)))
                tr, r = one(pool, c)
                if a.keep:
                    os.makedirs(a.keep, exist_ok=True)
                    open(os.path.join(a.keep, c.replace("/", "__") + ".json"), "w").write(slim(tr))
                bad = compare(e, tr, a.no_time)
                if bad:
                    rc[0] = 1
                print("%s %s%s" % ("same" if not bad else "DIFF", c, "".join("\n       " + u for u in bad)), flush=True)
        except Exception as x:
            rc[0] = 1
            print("FAIL %s: %r" % (c, x), flush=True)
    try:
        with ThreadPoolExecutor(a.j) as ex:
            list(ex.map(work, cases))
    finally:
        pool.close()
        if _helper and os.path.exists(_helper):
            os.unlink(_helper)
    return rc[0]


if __name__ == "__main__":
    sys.exit(main())
