"""What every pod has: probes that lead somewhere, resources, no privileges, time to drain, a disruption budget."""

from .rendered import label, pod_labels, pod_spec, selects, size

PROBES = {"startupProbe": "/healthz", "readinessProbe": "/readyz", "livenessProbe": "/healthz"}
# After a worker's own limit: handing back what still runs, and sending the last spans (shared/runtime, worker/mod.rs;
# shared/telemetry, settings.rs). A router has the same two and no limit of its own.
HAND_BACK_S, LAST_SPANS_S = 5, 3
# What the document service needs beside its children.
BESIDE_CHILDREN = size("512Mi")


def check(rendered):
    """Yields what a pod lacks."""
    for workload in rendered.workloads():
        if workload["kind"] not in ("Deployment", "StatefulSet"):
            yield f"{label(workload)}: a workload of this kind is not expected here, and not checked"
            continue
        yield from (f"{label(workload)}: {text}" for text in workload_problems(rendered, workload))


def workload_problems(rendered, workload):
    """All problems of one workload."""
    spec = pod_spec(workload)
    yield from selector(rendered, workload)
    yield from pod_security(spec)
    yield from spread(workload)
    yield from budget(rendered, workload)
    for container in spec.get("initContainers", []) + spec["containers"]:
        yield from resources(container)
        yield from container_security(container)
        yield from mounts(workload, container)
    for container in spec["containers"]:
        yield from probes(container)
        if workload["kind"] == "Deployment":
            yield from pages(rendered, container)
            yield from grace(rendered, spec, container)
            yield from children(rendered, container)


def selector(rendered, workload):
    if not selects(workload["spec"]["selector"], pod_labels(workload)):
        yield "its selector does not take in its own pods"
    for other in rendered.workloads():
        if other is not workload and selects(workload["spec"]["selector"], pod_labels(other)):
            yield f"its selector takes in the pods of {label(other)}"


def probes(container):
    ports = {port.get("name"): port["containerPort"] for port in container.get("ports", [])}
    for probe in PROBES:
        get = container.get(probe, {}).get("httpGet")
        if not get:
            yield f"container {container['name']} has no {probe} that asks a page"
        elif get["port"] not in ports and get["port"] not in ports.values():
            yield f"{probe} asks port {get['port']}, which container {container['name']} does not have"


def pages(rendered, container):
    """A service's probes ask its own pages, on the port where it listens."""
    ports = {port.get("name"): port["containerPort"] for port in container.get("ports", [])}
    for probe, path in PROBES.items():
        asked = container.get(probe, {}).get("httpGet", {}).get("path")
        if asked != path:
            yield f"{probe} asks {asked}; a service has it at {path}"
    config = rendered.config(container)
    listen = config.get("TASKLANE_HTTP_LISTEN") or config.get("TASKLANE_WORKER_HTTP_LISTEN") or "nowhere"
    address, _, port = listen.rpartition(":")
    if port != str(ports.get("http")):
        yield f"it listens on {listen}, but its port `http` is {ports.get('http')}"
    if address not in ("0.0.0.0", "[::]"):
        yield f"it listens on {listen}, where nothing outside of its pod reaches it"


def resources(container):
    for part in ("requests", "limits"):
        for resource in ("cpu", "memory"):
            if resource not in container.get("resources", {}).get(part, {}):
                yield f"container {container['name']} has no {part}.{resource}"


def pod_security(spec):
    security = spec.get("securityContext", {})
    wanted = {
        "runAsNonRoot is not true": security.get("runAsNonRoot") is True,
        "runAsUser is not set, or root": security.get("runAsUser", 0) > 0,
        "seccompProfile is not RuntimeDefault": security.get("seccompProfile", {}).get("type") == "RuntimeDefault",
        "automountServiceAccountToken is not false": spec.get("automountServiceAccountToken") is False,
        # Variables for a Service called tasklane-... would keep a service from starting.
        "enableServiceLinks is not false": spec.get("enableServiceLinks") is False,
        "it uses the node's namespaces": not any(spec.get(k) for k in ("hostNetwork", "hostPID", "hostIPC")),
        "it mounts a folder of the node": not any("hostPath" in v for v in spec.get("volumes") or []),
    }
    yield from (text for text, holds in wanted.items() if not holds)


def container_security(container):
    security = container.get("securityContext", {})
    wanted = {
        "allowPrivilegeEscalation is not false": security.get("allowPrivilegeEscalation") is False,
        "readOnlyRootFilesystem is not true": security.get("readOnlyRootFilesystem") is True,
        "capabilities are not all dropped": security.get("capabilities") == {"drop": ["ALL"]},
        "privileged is set": not security.get("privileged"),
        "it runs as another user than its pod": not {"runAsUser", "runAsNonRoot"} & set(security),
    }
    yield from (f"container {container['name']}: {text}" for text, holds in wanted.items() if not holds)


def mounts(workload, container):
    """Every mount has its volume; a StatefulSet's claims are volumes too."""
    volumes = {volume["name"] for volume in pod_spec(workload).get("volumes") or []}
    volumes |= {claim["metadata"]["name"] for claim in workload["spec"].get("volumeClaimTemplates", [])}
    for mount in container.get("volumeMounts") or []:
        if mount["name"] not in volumes:
            yield f"container {container['name']} mounts {mount['name']}, which its pod does not have"


def grace(rendered, spec, container):
    """The grace period is longer than the longest drain."""
    drain = int(rendered.config(container).get("TASKLANE_WORKER_DRAIN_MS", 0)) / 1000 + HAND_BACK_S + LAST_SPANS_S
    listens = "TASKLANE_WORKER_HTTP_LISTEN" in rendered.config(container)
    if listens and "TASKLANE_WORKER_DRAIN_MS" not in rendered.config(container):
        yield "TASKLANE_WORKER_DRAIN_MS is not set, so that nobody sees what the grace period must exceed"
    given = spec.get("terminationGracePeriodSeconds", 30)
    if given <= drain:
        yield f"terminationGracePeriodSeconds is {given}; a drain takes {drain:g} s"


def children(rendered, container):
    """All parsing children at their largest fit into the memory limit."""
    config = rendered.config(container)
    if "TASKLANE_PARSER_CHILDREN" not in config:
        return
    count, each = int(size(config["TASKLANE_PARSER_CHILDREN"])), config.get("TASKLANE_PARSER_MEMORY_MB", "1024")
    needed = count * size(each + "Mi") + BESIDE_CHILDREN
    limit = container.get("resources", {}).get("limits", {}).get("memory", 0)
    if count < 1:
        yield "less than one core leaves no parsing child"
    if size(limit) < needed:
        yield f"limits.memory is {limit}; {count} children of {each} MB and the service need {needed / 2**20:g}Mi"


def spread(workload):
    spec = pod_spec(workload)
    apart = spec.get("affinity", {}).get("podAntiAffinity", {})
    rules = spec.get("topologySpreadConstraints", []) + apart.get("requiredDuringSchedulingIgnoredDuringExecution", [])
    keys = {rule["topologyKey"] for rule in rules if selects(rule.get("labelSelector", {}), pod_labels(workload))}
    for key in ("kubernetes.io/hostname", "topology.kubernetes.io/zone"):
        if key not in keys:
            yield f"its pods are not spread over {key}"


def budget(rendered, workload):
    found = [b for b in rendered.kind("PodDisruptionBudget") if selects(b["spec"]["selector"], pod_labels(workload))]
    if len(found) != 1:
        yield f"it has {len(found)} PodDisruptionBudgets instead of one"
    for one in found:
        if one["spec"].get("maxUnavailable") != 1:
            yield f"{label(one)} does not say maxUnavailable: 1"
