"""Who reaches whom. The policies are evaluated as Kubernetes does: once a policy selects a pod for a direction, only
what some policy permits passes; a connection needs the leave of both ends."""

import ipaddress
from dataclasses import dataclass, field
from urllib.parse import urlparse

from .rendered import label, pod_labels, pod_spec, selects

NAMESPACE = "kubernetes.io/metadata.name"
PUBLIC = ["93.184.216.34", "2606:4700::1111"]
# One address of every kind that a task must not lead to; 169.254.169.254 is where clouds keep their credentials.
NOT_PUBLIC = [
    "0.0.0.1", "10.1.2.3", "100.64.0.1", "127.0.0.1", "168.63.129.16", "169.254.169.254", "172.16.0.1", "192.0.0.1",
    "192.168.1.1", "198.18.0.1", "224.0.0.1", "255.255.255.255", "::1", "fc00::1", "fd00:ec2::254", "fe80::1",
    "ff02::1", "64:ff9b::a00:1", "2001:db8::1", "2002:a00:1::1", "::ffff:10.0.0.1",
]  # fmt: skip


@dataclass
class End:
    """One end of a connection: a pod by its labels and its namespace's, or an address outside of the cluster."""

    name: str
    labels: dict = field(default_factory=dict)
    namespace: dict = field(default_factory=dict)
    ports: dict = field(default_factory=dict)
    address: str = ""
    inside: bool = False


class Network:
    """The policies of one overlay, and the ends that matter."""

    def __init__(self, rendered):
        self.rendered = rendered
        self.policies = rendered.kind("NetworkPolicy")
        self.home = {NAMESPACE: home(rendered)}
        self.services = [self.pod(w) for w in rendered.services()]
        self.nats = self.pod(rendered.named("StatefulSet", "nats"))

    def pod(self, workload):
        """The pods of a workload of ours."""
        ports = {p["name"]: p["containerPort"] for c in pod_spec(workload)["containers"] for p in c.get("ports", [])}
        return End(workload["metadata"]["name"], pod_labels(workload), self.home, ports, inside=True)

    def passes(self, source, target, port, protocol="TCP"):
        """Whether a connection comes about."""
        out = self.permits(source, "Egress", target, port, protocol, target)
        return out and self.permits(target, "Ingress", source, port, protocol, target)

    def permits(self, pod, direction, other, port, protocol, target):
        """Whether one end lets it pass."""
        if not pod.inside:
            return True
        of_pod = [p["spec"] for p in self.policies if selects(p["spec"]["podSelector"], pod.labels)]
        of_pod = [spec for spec in of_pod if direction in spec["policyTypes"]]
        rules = [rule for spec in of_pod for rule in spec.get(direction.lower(), [])]
        peers = "to" if direction == "Egress" else "from"
        return not of_pod or any(
            reaches(rule.get(peers), other, self.home) and carries(rule.get("ports"), port, protocol, target)
            for rule in rules
        )


def home(rendered):
    """The namespace of the overlay."""
    return rendered.named("StatefulSet", "nats")["metadata"].get("namespace", "default")


def reaches(peers, other, our_namespace):
    """Whether a rule's peers take in the other end. No peers: everybody."""
    return not peers or any(is_peer(peer, other, our_namespace) for peer in peers)


def is_peer(peer, other, our_namespace):
    if "ipBlock" in peer:
        if not other.address:
            return False
        address = ipaddress.ip_address(other.address)
        blocks = [ipaddress.ip_network(b) for b in peer["ipBlock"].get("except", [])]
        return address in ipaddress.ip_network(peer["ipBlock"]["cidr"]) and not any(address in b for b in blocks)
    if other.address:
        return False
    namespace = peer.get("namespaceSelector")
    near = selects(namespace, other.namespace) if namespace is not None else other.namespace == our_namespace
    return near and selects(peer.get("podSelector") or {}, other.labels)


def carries(ports, port, protocol, target):
    """Whether a rule's ports take this one in. A name is that of the target's container port."""
    numbers = [(e.get("protocol", "TCP"), target.ports.get(e.get("port"), e.get("port", port))) for e in ports or []]
    return not ports or (protocol, port) in numbers


def check(rendered):
    """Yields connections that should come about and do not, or do and should not."""
    network = Network(rendered)
    yield from everybody_is_closed(network)
    wanted = {(s.name, t.name, port, protocol): (s, t, port, protocol) for s, t, port, protocol in needed(network)}
    for source, target, port, protocol in wanted.values():
        if not network.passes(source, target, port, protocol):
            yield f"NetworkPolicy: {source.name} cannot reach {target.name} on port {port}/{protocol}, and must"
    for source, target, port, protocol in others(network):
        if (source.name, target.name, port, protocol) not in wanted and network.passes(source, target, port, protocol):
            yield f"NetworkPolicy: {source.name} reaches {target.name} on port {port}/{protocol}, and must not"


def everybody_is_closed(network):
    """Every pod is closed in both directions, and has a policy of its own besides."""
    for workload in network.rendered.workloads():
        found = [p for p in network.policies if selects(p["spec"]["podSelector"], pod_labels(workload))]
        for direction in ("Ingress", "Egress"):
            if not any(direction in p["spec"]["policyTypes"] for p in found):
                yield f"{label(workload)}: no NetworkPolicy closes its pods for {direction}"
        if not any(p["spec"]["podSelector"] for p in found):
            yield f"{label(workload)}: no NetworkPolicy selects its pods by their labels"
    if not any(not p["spec"]["podSelector"] and len(p["spec"]["policyTypes"]) == 2 for p in network.policies):
        yield "NetworkPolicy: none refuses everything to every pod of the namespace"


DNS = End("the cluster's DNS", {"k8s-app": "kube-dns"}, {NAMESPACE: "kube-system"})
PROMETHEUS = End("Prometheus", {"app.kubernetes.io/name": "prometheus"}, {NAMESPACE: "monitoring"})
KEDA = End("KEDA", {"app": "keda-operator"}, {NAMESPACE: "keda"})


def outsiders(network):
    """Who has no business here."""
    stranger = End("a pod without labels", {}, network.home, inside=True)
    return [
        stranger,
        End("a pod of another namespace", {}, {NAMESPACE: "default"}),
        End("another pod of Prometheus's namespace", {}, {NAMESPACE: "monitoring"}),
        End("another pod of KEDA's namespace", {}, {NAMESPACE: "keda"}),
    ]


def web(address):
    """An address outside of the cluster."""
    return End(address, address=address)


def needed(network):
    """Every connection that the overlay lives by."""
    client = End("a client with its label", {"tasklane/client": "true"}, network.home)
    yield client, network.nats, 4222, "TCP"
    yield End("a client of a labelled namespace", {}, {"tasklane/client": "true"}), network.nats, 4222, "TCP"
    for pod in [*network.services, network.nats]:
        yield pod, DNS, 53, "UDP"
        yield pod, DNS, 53, "TCP"
    if network.rendered.named("StatefulSet", "nats")["spec"]["replicas"] > 1:
        yield network.nats, network.nats, 6222, "TCP"
    if network.rendered.kind("ScaledObject"):
        yield KEDA, network.nats, 8222, "TCP"
    for workload in network.rendered.services():
        config = network.rendered.config(pod_spec(workload)["containers"][0])
        yield from needed_by(network, network.pod(workload), config)


def needed_by(network, pod, config):
    """Every connection of one service."""
    yield pod, network.nats, 4222, "TCP"
    if network.rendered.kind("PodMonitor"):
        yield PROMETHEUS, pod, pod.ports["http"], "TCP"
    if config.get("TASKLANE_MONITOR_URLS"):
        yield pod, network.nats, 8222, "TCP"
    if config.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        yield pod, *collector(config["OTEL_EXPORTER_OTLP_ENDPOINT"]), "TCP"
    if pod.labels.get("tasklane/web") == "true":
        for address in PUBLIC:
            yield pod, web(address), 443, "TCP"
            yield pod, web(address), 80, "TCP"


def collector(url):
    """The pod behind a collector's URL, http://<service>.<namespace>...:<port>, and its port."""
    parsed = urlparse(url)
    namespace = (parsed.hostname or "").split(".")[1:2]
    return End("the collector", {}, {NAMESPACE: namespace[0] if namespace else ""}), parsed.port


def others(network):
    """Every connection that is refused unless it is needed."""
    strangers = outsiders(network)
    for pod in network.services:
        for source in [*strangers, *network.services, network.nats, PROMETHEUS, KEDA]:
            yield source, pod, pod.ports["http"], "TCP"
        for address in PUBLIC + NOT_PUBLIC:
            for port in (22, 80, 443, 4222, 53):
                yield pod, web(address), port, "TCP"
        yield pod, End("a pod of another namespace", {}, {NAMESPACE: "default"}), 443, "TCP"
    for port in (4222, 6222, 8222):
        for source in [*strangers, *network.services, PROMETHEUS, KEDA]:
            yield source, network.nats, port, "TCP"
    for address in PUBLIC + NOT_PUBLIC:
        yield network.nats, web(address), 443, "TCP"
