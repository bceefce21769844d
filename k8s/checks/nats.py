"""NATS: the server's configuration against its StatefulSet, and the services' against the servers."""

import re

from .rendered import label, pod_spec, seconds, size

PAGES = {
    "startupProbe": "/healthz",
    "readinessProbe": "/healthz?js-enabled-only=true",
    "livenessProbe": "/healthz?js-server-only=true",
}
# What the server needs beside its store, of its volume.
BESIDE_STORE = 1.1


def check(rendered):
    """Yields what does not fit together."""
    found = rendered.named("StatefulSet", "nats")
    yield from (f"{label(found)}: {text}" for text in server(rendered, found))
    for service in rendered.services():
        yield from (f"{label(service)}: {text}" for text in client(rendered, found, service))


def configuration(rendered, stateful_set):
    """The server's configuration as one text, without comments and with its variables filled in."""
    volumes = pod_spec(stateful_set).get("volumes", [])
    names = [v["configMap"]["name"] for v in volumes if "configMap" in v]
    files = [text for name in names for text in (rendered.named("ConfigMap", name) or {}).get("data", {}).values()]
    text = re.sub(r"(?m)#.*$", "", "\n".join(files))
    for name, value in rendered.config(pod_spec(stateful_set)["containers"][0]).items():
        text = text.replace(f"${name}", value)
    return text


def setting(text, name):
    """The value of a setting, or None."""
    found = re.search(rf'\b{name}:\s*"?([^"\s]+)"?', text)
    return found[1] if found else None


def is_secured(text):
    """Whether clients need TLS: a block of its own, not the one inside of `cluster`."""
    return bool(re.search(r"(?m)^tls \{", text))


def server(rendered, stateful_set):
    spec, text = pod_spec(stateful_set), configuration(rendered, stateful_set)
    container = spec["containers"][0]
    for probe, page in PAGES.items():
        asked = container.get(probe, {}).get("httpGet", {}).get("path")
        if asked != page:
            yield f"{probe} asks {asked} instead of {page}"
    yield from common(rendered, text)
    yield from cluster(rendered, stateful_set, text)
    yield from stopping(spec, container, text)
    yield from storage(stateful_set, container, text)
    if "include ../keys/auth.conf" in text and not is_secured(text):
        yield "it asks for keys without TLS"


def common(rendered, text):
    """What every server has wherever it runs."""
    shared = (rendered.repository / "config/nats/common.conf").read_text(encoding="utf-8")
    for name, value in re.findall(r'(?m)^(\w+): "?([^"\s]+)"?', shared):
        if setting(text, name) != value:
            yield f"{name} is {setting(text, name)}; config/nats/common.conf has {value}"


def cluster(rendered, stateful_set, text):
    replicas, service = stateful_set["spec"]["replicas"], stateful_set["spec"]["serviceName"]
    headless = rendered.named("Service", service)
    if not headless or headless["spec"].get("clusterIP") != "None":
        yield f"its serviceName {service} is no headless Service"
    elif not headless["spec"].get("publishNotReadyAddresses"):
        yield f"{service} hides servers that are not ready, and they cannot become ready alone"
    routes = sorted(re.findall(r'"nats://([^:"]+):6222"', text))
    wanted = [f"nats-{n}.{service}" for n in range(replicas)] if replicas > 1 else []
    if routes != wanted:
        yield f"its routes are {routes}, its pods {wanted}"
    if replicas > 1 and stateful_set["spec"].get("podManagementPolicy") != "Parallel":
        yield "one server after the other is started, but none is ready alone"
    if replicas > 1 and setting(text, "no_advertise") != "true":
        yield "it tells clients addresses that no certificate names"


def stopping(spec, container, text):
    hook = container.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", [])
    if f"ldm={setting(text, 'pid_file')}" not in hook:
        yield "its preStop hook does not ask the server of its pid_file for lame duck mode"
    duck = sum(seconds(setting(text, name) or "0s") for name in ("lame_duck_grace_period", "lame_duck_duration"))
    if spec.get("terminationGracePeriodSeconds", 30) <= duck:
        yield f"terminationGracePeriodSeconds is not longer than lame duck mode, {duck:g} s"


def storage(stateful_set, container, text):
    claims = stateful_set["spec"].get("volumeClaimTemplates", [])
    claimed = {c["metadata"]["name"]: c["spec"]["resources"]["requests"]["storage"] for c in claims}
    places = {m["mountPath"]: m["name"] for m in container.get("volumeMounts", [])}
    claim = claimed.get(places.get(setting(text, "store_dir"), ""))
    if not claim:
        yield "its store_dir lies on no volume claim"
    elif size(claim) < size(setting(text, "max_file_store") or "1EB") * BESIDE_STORE:
        yield f"max_file_store {setting(text, 'max_file_store')} does not fit into a claim of {claim}"
    limit = size(container["resources"]["limits"]["memory"])
    soft = next((e.get("value") for e in container.get("env", []) if e["name"] == "GOMEMLIMIT"), None)
    if not soft or size(soft.removesuffix("B")) >= limit:
        yield "GOMEMLIMIT is not below limits.memory"


def client(rendered, stateful_set, service):
    """What a service says about the servers is so."""
    config = rendered.config(pod_spec(service)["containers"][0])
    replicas, headless = stateful_set["spec"]["replicas"], stateful_set["spec"]["serviceName"]
    url = config.get("TASKLANE_NATS_URL", "")
    host, _, port = url.removeprefix("nats://").partition(":")
    ports = [str(p["port"]) for p in (rendered.named("Service", host) or {"spec": {"ports": []}})["spec"]["ports"]]
    if port not in ports:
        yield f"TASKLANE_NATS_URL {url} names no Service with that port"
    secured = is_secured(configuration(rendered, stateful_set))
    for variable in ("TASKLANE_NATS_TLS_CA_FILE", "TASKLANE_NATS_NKEY_FILE"):
        value = config.get(variable)
        if bool(value) != secured:
            yield f"{variable} is {value or 'empty'}, and the servers {'have' if secured else 'have no'} TLS and keys"
    if config.get("TASKLANE_NATS_INBOX_PREFIX") != f"_INBOX.{service['metadata']['name']}":
        yield f"TASKLANE_NATS_INBOX_PREFIX is {config.get('TASKLANE_NATS_INBOX_PREFIX')}, not that of its user"
    if "TASKLANE_HTTP_LISTEN" in config:
        yield from router(config, replicas, headless)


def router(config, replicas, headless):
    """Only a router makes streams, and looks at the servers' stores."""
    copies = int(config.get("TASKLANE_STREAMS_REPLICAS", 1))
    if copies != replicas:
        yield f"TASKLANE_STREAMS_REPLICAS is {copies} with {replicas} servers"
    wanted = ",".join(f"http://nats-{n}.{headless}:8222" for n in range(replicas))
    if config.get("TASKLANE_MONITOR_URLS") != wanted:
        yield f"TASKLANE_MONITOR_URLS is {config.get('TASKLANE_MONITOR_URLS')}, the servers are at {wanted}"
