#!/usr/bin/env python3
"""Holds rules, dashboards and runbook pages against each other and against the code.

    config/check.py [--promtool PROGRAM]     exit 1 with one line for each finding

The truth about metrics is the Rust code: names, kinds and labels are read out of it. What no service exports yet
stands in config/prometheus/coming-metrics.txt. Needs nothing but Python; with promtool the queries of the dashboards
are parsed too.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROMETHEUS = ROOT / "config/prometheus"
DASHBOARDS = ROOT / "config/grafana/dashboards"
RUNBOOKS = ROOT / "docs/runbooks"

SECTIONS = ["What it means", "What users notice", "How to look", "What to do", "How to prevent it"]
SEVERITIES = {"warning", "critical"}
# What Prometheus itself makes: name and labels.
OF_PROMETHEUS = {"up": set(), "ALERTS": {"alertname", "alertstate", "severity"}}
# Labels that every scraped series has.
SCRAPED = {"job", "instance"}
# Variables that Grafana sets, and what stands for them when a query is parsed.
BUILT_IN = {"__rate_interval": "1m", "__interval": "1m", "__range": "1h"}

findings = []


def find(where, what):
    findings.append(f"{where}: {what}")


def at(path):
    return path.relative_to(ROOT).as_posix()


# --- Metrics, as the code has them: {name of a series: its labels, or None where they cannot be read}.


def series_of(name, kind, labels):
    """The series that one metric is scraped as."""
    if kind == "counter":
        return {f"{name}_total": labels}
    if kind == "histogram":
        buckets = None if labels is None else labels | {"le"}
        return {f"{name}_bucket": buckets, f"{name}_sum": labels, f"{name}_count": labels}
    return {name: labels}


def rust_sources():
    for path in sorted([*ROOT.glob("services/**/*.rs"), *ROOT.glob("shared/**/*.rs")]):
        if "tests" in path.parts or path.name == "tests.rs":
            continue
        yield path, path.read_text().split("\n#[cfg(test)]")[0]


TEXT = r'"(?:[^"\\]|\\.)*"'
LABELS = r"\[([^\]]*)\]"
# metrics.counter("name", "help", ["label"]), likewise gauge and histogram
OWN = re.compile(rf'\.(counter|amount|gauge|level|histogram)(?:::<[^>]*>)?\(\s*"(\w+)",\s*{TEXT},\s*{LABELS}')
# Those of numbers that are not whole are exported as the others.
EXPORTED = {"amount": "counter", "level": "gauge"}
# to.family("name", "help", ["label"], count()): what every service has
SHARED = re.compile(rf'\.family\(\s*"(\w+)",\s*{TEXT},\s*{LABELS},\s*(\w+)\(')
MAKES = {"count": "counter", "level": "gauge", "time": "histogram", "histogram_of": "histogram"}
# A collector names its metrics itself, each followed by its type.
COLLECTED = re.compile(r'"((?:tasklane|process)_\w+)"(?:(?!"(?:tasklane|process)_).)*?(counter|gauge)_type\(\)', re.S)
INFO = re.compile(rf'\.register\(\s*"(\w+)",\s*{TEXT},\s*Info::new\((\w+)\)')


def quoted(text):
    return set(re.findall(r'"(\w+)"', text))


def metrics_of_the_code():
    found = {}
    for path, text in rust_sources():
        for kind, name, labels in OWN.findall(text):
            name = "tasklane_" + name.removeprefix("tasklane_").removesuffix("_total")
            found |= series_of(name, EXPORTED.get(kind, kind), quoted(labels) | SCRAPED)
        for name, labels, make in SHARED.findall(text):
            if make not in MAKES:
                find(at(path), f"the metric {name} is made by `{make}`, which this check does not know (MAKES)")
                continue
            found |= series_of(f"tasklane_{name}", MAKES[make], quoted(labels) | SCRAPED)
        if "Collector for" in text:
            for name, kind in COLLECTED.findall(text):
                found |= series_of(name, kind, None)
        for name, pairs in INFO.findall(text):
            vector = re.search(rf"let {pairs} = vec!\[(.*?)\];", text, re.S)
            labels = set(re.findall(r'\("(\w+)",', vector[1])) | SCRAPED if vector else None
            found[f"tasklane_{name}_info"] = labels
    if "tasklane_tasks_total" not in found or "process_cpu_seconds_total" not in found:
        find("services, shared", "the metrics cannot be read out of the code any more; mend the patterns of this check")
    return found


def coming_metrics(exported):
    path = PROMETHEUS / "coming-metrics.txt"
    coming = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        words = line.split("#")[0].split()
        if not words:
            continue
        where = f"{at(path)}:{number}"
        if len(words) < 2 or words[1] not in ("counter", "gauge", "histogram"):
            find(where, "is not `name kind label...` with the kind counter, gauge or histogram")
            continue
        series = series_of(words[0].removesuffix("_total"), words[1], set(words[2:]) | SCRAPED)
        for name in series.keys() & exported.keys():
            find(where, f"{name} is exported by now: take the line out")
        coming |= series
    return coming


# --- PromQL, as far as names go. Whether it is PromQL at all is promtool's to say.

WORDS = set("and or unless bool offset by without on ignoring group_left group_right inf nan".split())
GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
MATCHERS = re.compile(r"([a-zA-Z_:][\w:]*)?\s*\{([^}]*)\}")


def names_in(query):
    """The metrics of a query with the labels that are matched on each, and the labels that it groups by."""
    query = re.sub(r"#.*", "", query)
    query = re.sub(r'"(?:[^"\\]|\\.)*"', '""', query)
    query = re.sub(r"\[[^\]]*\]", "", query)
    matched, grouped = {}, set()
    for name, inside in MATCHERS.findall(query):
        matched.setdefault(name, set()).update(re.findall(r"([a-zA-Z_]\w*)\s*[=!]", inside))
    query = re.sub(r"\{[^}]*\}", "", query)
    for inside in GROUPING.findall(query):
        grouped.update(re.findall(r"\w+", inside))
    query = GROUPING.sub(" ", query)
    for name in re.findall(r"(?<![\w.$:])[a-zA-Z_:][\w:]*(?![\w:])(?!\s*\()", query):
        if name.lower() not in WORDS:
            matched.setdefault(name, set())
    return matched, grouped


class Known:
    """Every series there is, and every label."""

    def __init__(self, series):
        self.series = series
        self.labels = SCRAPED.union(*(labels for labels in series.values() if labels))
        self.used = set()

    def check(self, where, query):
        matched, grouped = names_in(query)
        for name, labels in matched.items():
            if name == "":
                find(where, "a selector without a metric's name")
            elif name not in self.series:
                find(where, f"no service exports {name}, and no rule records it")
            else:
                self.used.add(name)
                has = self.series[name]
                for label in sorted(labels - (self.labels if has is None else has)):
                    find(where, f"{name} has no label {label}")
        self.check_labels(where, grouped)

    def check_labels(self, where, labels):
        for label in sorted(set(labels) - self.labels):
            find(where, f"no metric has a label {label}")


# --- Rules and their tests. They are YAML in the one way in which we write it; what is written otherwise is refused.

RULE = re.compile(r"^      - (alert|record): (\S+)$")
FIELD = re.compile(r"^(?:        |          )(\w+):(?: (.*))?$")


def rules_of(path):
    """Every rule of a file: {kind, name, and its fields, those of labels and annotations among them}."""
    rules, field = [], None
    for line in path.read_text().splitlines():
        if line.strip() == "" or line.lstrip().startswith("#"):
            continue
        if begins := RULE.match(line):
            rules.append({"kind": begins[1], "name": begins[2], "labels": {}})
            field = None
        elif rules and (is_field := FIELD.match(line)):
            field, value = is_field[1], is_field[2] or ""
            if field == "labels":
                rules[-1]["labels"] = dict(re.findall(r'(\w+): "?([^",}]*)"?', value))
            else:
                rules[-1][field] = "" if value in ("|", ">-") else value
        elif rules and field and line.startswith("          "):
            rules[-1][field] += " " + line.strip()
    wanted = len(re.findall(r"\b(?:alert|record):", re.sub(r"#.*", "", path.read_text())))
    if len(rules) != wanted or any(not rule.get("expr") for rule in rules):
        find(at(path), f"{len(rules)} rules with an expression can be read of {wanted}; write them as the others are")
    return rules


def page_of(alert):
    """LaneBacklogGrowing: docs/runbooks/lane-backlog-growing.md"""
    return "docs/runbooks/" + re.sub(r"(?<!^)(?=[A-Z])", "-", alert).lower() + ".md"


def tested():
    """(alert, severity) that a test makes fire, and alerts that a test keeps silent."""
    fires, silent = set(), set()
    for path in sorted(PROMETHEUS.glob("tests/*.yml")):
        text = re.sub(r"^\s*#.*", "", path.read_text(), flags=re.M)
        parts = re.split(r"alertname: ", text)[1:]
        for part in parts:
            name = re.match(r"\w+", part)[0]
            expected = part.split("exp_alerts:", 1)[1] if "exp_alerts:" in part else ""
            if re.match(r"\s*\[\]", expected):
                silent.add(name)
            fires.update((name, severity) for severity in re.findall(r"exp_labels: \{severity: (\w+)", expected))
    return fires, silent


def check_rules(rules, known):
    fires, silent = tested()
    pages = set()
    for path, rule in rules:
        where = f"{at(path)}: {rule['name']}"
        known.check(where, rule.get("expr", ""))
        if rule["kind"] == "record":
            continue
        severity, page = rule["labels"].get("severity"), page_of(rule["name"])
        pages.add(page)
        if severity not in SEVERITIES:
            find(where, f"its severity is {severity}, not one of {', '.join(sorted(SEVERITIES))}")
        for field in ("summary", "description"):
            if not rule.get(field):
                find(where, f"has no {field}")
            known.check_labels(where, re.findall(r"\$labels\.(\w+)", rule.get(field, "")))
        if not re.search(r"\d", rule.get("description", "")):
            find(where, "its description has no number")
        if rule.get("runbook") != page:
            find(where, f"its runbook is {rule.get('runbook')}, not {page}")
        if (rule["name"], severity) not in fires:
            find(where, f"no test makes it fire with severity {severity}")
        if rule["name"] not in silent:
            find(where, "no test keeps it silent")
    for path, rule in rules:
        if rule["kind"] == "record" and rule["name"] not in known.used:
            find(f"{at(path)}: {rule['name']}", "no rule and no dashboard uses it")
    names = {rule["name"] for _, rule in rules}
    for name in sorted(silent | {name for name, _ in fires}):
        if name not in names:
            find("config/prometheus/tests", f"{name} is tested, and there is no such alert")
    return pages


def check_pages(pages):
    index = RUNBOOKS / "README.md"
    listed = index.read_text() if index.exists() else ""
    for page in sorted(pages):
        path = ROOT / page
        if not path.exists():
            find(page, "is missing; every alert has a page")
            continue
        text = path.read_text()
        headings = re.findall(r"^## (.*)$", text, re.M)
        if headings != SECTIONS:
            find(page, f"its sections are {headings}, not {SECTIONS}")
        if not any(page_of(name) == page for name in re.findall(r"^# (\w+):", text)):
            find(page, "does not begin with `# <its alert>: ...`")
        if f"({path.name})" not in listed:
            find(at(index), f"does not list {path.name}")
    for path in sorted(RUNBOOKS.glob("*.md")):
        if at(path) not in pages and path != index:
            find(at(path), "belongs to no alert")


def check_jobs():
    """Every service is scraped, at the port where it serves its pages as it comes."""
    text = (PROMETHEUS / "prometheus.yml").read_text()
    jobs = dict(re.findall(r"job_name: (\S+)\n\s+dns_sd_configs:\n\s+- \{names: \[[\w-]+\], type: A, port: (\d+)", text))
    for folder in sorted(path.parent.parent for path in ROOT.glob("services/*/src/config.rs")):
        port = re.search(r'"127\.0\.0\.1:(\d+)"', (folder / "src/config.rs").read_text())
        if not port:
            find(at(folder / "src/config.rs"), "names no address `127.0.0.1:<port>` for its pages")
        elif jobs.get(folder.name) != port[1]:
            find("config/prometheus/prometheus.yml", f"does not scrape {folder.name} at its port {port[1]}")
    for job in sorted(jobs):
        if not (ROOT / "services" / job).is_dir():
            find("config/prometheus/prometheus.yml", f"scrapes {job}, and there is no such service")


# --- Dashboards.

VARIABLE = re.compile(r"\$(?:\{(\w+)(?::\w+)?\}|(\w+))")


def panels_of(dashboard):
    for panel in dashboard.get("panels", []):
        yield panel
        yield from panel.get("panels", [])


def overlap(a, b):
    across = a["x"] < b["x"] + b["w"] and b["x"] < a["x"] + a["w"]
    return across and a["y"] < b["y"] + b["h"] and b["y"] < a["y"] + a["h"]


def check_datasource(where, asks):
    if asks.get("datasource", {}).get("uid") not in datasources():
        find(where, "has no datasource, or one that is not provisioned")


def check_panel(where, panel):
    """What makes a panel readable. Its queries are another matter."""
    unit = panel.get("fieldConfig", {}).get("defaults", {}).get("unit")
    for what, there in [
        ("title", panel.get("title")),
        ("description", panel.get("description")),
        ("unit", unit),
        ("query", panel.get("targets") and all(target.get("expr", "").strip() for target in panel["targets"])),
    ]:
        if not there:
            find(where, f"has no {what}")
    check_datasource(where, panel)
    refs = [target.get("refId") for target in panel.get("targets", [])]
    if None in refs or len(set(refs)) != len(refs):
        find(where, "its queries' refIds are not unique")


def datasources():
    files = (ROOT / "config/grafana/provisioning/datasources").glob("*.yml")
    return set(re.findall(r"^\s+uid: (\S+)$", "\n".join(path.read_text() for path in files), re.M))


def check_dashboard(path, dashboard, known):
    """Returns its queries as {where: query}, with the variables filled in."""
    queries, variables = {}, {v["name"]: v for v in dashboard.get("templating", {}).get("list", [])}
    name = at(path)

    def fill(where, text):
        def value(match):
            variable = match[1] or match[2]
            if variable not in variables and variable not in BUILT_IN:
                find(where, f"the variable {variable} is not defined")
            return BUILT_IN.get(variable, "x")

        return VARIABLE.sub(value, text)

    for variable in variables.values():
        where = f"{name}: variable {variable['name']}"
        check_datasource(where, variable)
        query = variable.get("query", {}).get("query", "")
        asked = re.fullmatch(r"label_values\((.+), (\w+)\)", query)
        if not asked:
            find(where, "its query is not label_values(metric, label)")
            continue
        queries[where] = fill(where, asked[1])
        known.check_labels(where, [asked[2]])
    for annotation in dashboard.get("annotations", {}).get("list", []):
        where = f"{name}: annotation {annotation['name']}"
        queries[where] = annotation["expr"]
        check_datasource(where, annotation)
    for field in ("title", "description", "uid", "schemaVersion"):
        if not dashboard.get(field):
            find(name, f"has no {field}")
    panels = [panel for panel in panels_of(dashboard) if panel.get("type") != "row"]
    ids = [panel.get("id") for panel in panels_of(dashboard)]
    if len(set(ids)) != len(ids) or None in ids:
        find(name, "its panels' ids are not unique")
    for n, panel in enumerate(panels):
        where = f"{name}: panel {panel.get('title') or panel.get('id')}"
        check_panel(where, panel)
        place = panel.get("gridPos", {"x": 0, "y": 0, "w": 0, "h": 0})
        if place["w"] < 1 or place["h"] < 1 or place["x"] + place["w"] > 24:
            find(where, "has no place on the grid of 24 columns")
        for other in panels[:n]:
            if overlap(place, other.get("gridPos", place)):
                find(where, f"lies over {other.get('title')}")
        for target in panel.get("targets", []):
            asks = f"{where}, query {target.get('refId')}"
            queries[asks] = fill(asks, target.get("expr", ""))
            known.check_labels(asks, re.findall(r"\{\{\s*(\w+)\s*\}\}", target.get("legendFormat", "")))
    for where, query in queries.items():
        known.check(where, query)
    return queries


def check_dashboards(known):
    queries, uids = {}, {}
    paths = sorted(DASHBOARDS.glob("*.json"))
    if not paths:
        find(at(DASHBOARDS), "has no dashboard")
    for path in paths:
        try:
            dashboard = json.loads(path.read_text())
        except ValueError as error:
            find(at(path), f"is not JSON: {error}")
            continue
        if other := uids.get(dashboard.get("uid")):
            find(at(path), f"its uid is that of {other}")
        uids[dashboard.get("uid")] = at(path)
        queries |= check_dashboard(path, dashboard, known)
    return queries


def parse(queries, promtool):
    """Queries as the rules of a temporary file, one run of promtool each group; JSON is YAML too."""
    places = list(queries)
    rules = [{"record": f"check:query:{n}", "expr": queries[where] or "1 +"} for n, where in enumerate(places)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "queries.yml"
        path.write_text(json.dumps({"groups": [{"name": "queries", "rules": rules}]}))
        said = subprocess.run([promtool, "check", "rules", path], capture_output=True, text=True)
    if said.returncode == 0:
        return
    output = said.stdout + said.stderr
    blamed = re.findall(r"rule (\d+), \"check:query:\d+\": (.*)", output)
    for n, why in blamed:
        find(places[int(n) - 1], f"is not PromQL: {why}")
    if not blamed:
        find("promtool", f"refused the dashboards' queries: {output.strip()}")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--promtool", metavar="PROGRAM", help="parses the dashboards' queries")
    promtool = arguments.parse_args().promtool

    rules = [(path, rule) for path in sorted(PROMETHEUS.glob("rules/*.yml")) for rule in rules_of(path)]
    exported = metrics_of_the_code()
    coming = coming_metrics(exported)
    recorded = {rule["name"]: None for _, rule in rules if rule["kind"] == "record"}
    known = Known(exported | coming | recorded | {name: labels | SCRAPED for name, labels in OF_PROMETHEUS.items()})

    queries = check_dashboards(known)
    pages = check_rules(rules, known)
    check_pages(pages)
    check_jobs()
    for name in sorted(coming.keys() - known.used):
        if not name.endswith(("_sum", "_count")):
            find("config/prometheus/coming-metrics.txt", f"nothing uses {name}")
    if promtool:
        parse(queries, promtool)

    for finding in findings:
        print(finding, file=sys.stderr)
    if findings:
        sys.exit(1)
    alerts = sum(rule["kind"] == "alert" for _, rule in rules)
    print(f"{alerts} alerts, {len(pages)} pages, {len(queries)} queries of dashboards, {len(exported)} series of the code")


if __name__ == "__main__":
    main()
