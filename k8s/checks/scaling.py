"""Scalers: they scale what exists, read the lanes of its pool, and nobody else sets the number of replicas."""

import re

from .network import home
from .rendered import label, pod_spec

SCALERS = ("ScaledObject", "HorizontalPodAutoscaler")
PRIORITIES = range(4)
# What the routers and workers export (shared/telemetry/src/metrics.rs), with the labels that are asked for.
METRICS = {"tasklane_lane_backlog": "pool", "tasklane_slots": "state"}


def check(rendered):
    """Yields what is wrong with a scaler or its target."""
    targets = [scaler["spec"]["scaleTargetRef"]["name"] for scaler in rendered.kind(*SCALERS)]
    for scaler in rendered.kind(*SCALERS):
        target = rendered.named("Deployment", scaler["spec"]["scaleTargetRef"]["name"])
        of_kind = keda if scaler["kind"] == "ScaledObject" else plain
        found = target_problems(scaler, target, targets)
        yield from (f"{label(scaler)}: {text}" for text in found)
        if target:
            yield from (f"{label(scaler)}: {text}" for text in of_kind(rendered, scaler, pool(rendered, target)))
    if targets:
        yield from left_out(rendered, targets)


def pool(rendered, target):
    """The pool of a worker: as configured, else the service's own name."""
    return rendered.config(pod_spec(target)["containers"][0]).get("TASKLANE_WORKER_POOL") or target["metadata"]["name"]


def target_problems(scaler, target, targets):
    spec = scaler["spec"]
    name = spec["scaleTargetRef"]["name"]
    if not target:
        yield f"there is no Deployment/{name}"
        return
    if spec["scaleTargetRef"].get("kind", "Deployment") != "Deployment":
        yield f"{name} is not scaled as a Deployment"
    if targets.count(name) > 1:
        yield f"Deployment/{name} has more than one scaler"
    if "replicas" in target["spec"]:
        yield f"Deployment/{name} sets its replicas too, and takes them back with every apply"
    least = spec.get("minReplicaCount", spec.get("minReplicas"))
    most = spec.get("maxReplicaCount", spec.get("maxReplicas"))
    if least is None or most is None or least > most:
        yield f"from {least} to {most} replicas"


def left_out(rendered, targets):
    """Where there are scalers, every worker has one."""
    for service in rendered.services():
        config = rendered.config(pod_spec(service)["containers"][0])
        if "TASKLANE_WORKER_HTTP_LISTEN" in config and service["metadata"]["name"] not in targets:
            yield f"{label(service)}: nobody scales it"


def keda(rendered, scaler, of_pool):
    spec = scaler["spec"]
    lanes, nowhere = [[f"{p}-p{n}" for n in PRIORITIES] for p in (of_pool, "_")]
    to_zero = spec["minReplicaCount"] == 0
    read = [trigger["metadata"]["consumer"] for trigger in spec["triggers"]]
    wanted = lanes + nowhere if to_zero else lanes
    if read != wanted:
        yield f"it reads the lanes {', '.join(read)} instead of {', '.join(wanted)}"
    for trigger in spec["triggers"]:
        yield from endpoint(rendered, trigger)
    yield from sums(spec, to_zero)


def endpoint(rendered, trigger):
    where = trigger["metadata"]
    stateful_set = rendered.named("StatefulSet", "nats")
    # The scaler puts the name of the leading server before it.
    wanted = f"{stateful_set['spec']['serviceName']}.{home(rendered)}.svc:8222"
    if where["natsServerMonitoringEndpoint"] != wanted:
        yield f"trigger {trigger['name']} asks {where['natsServerMonitoringEndpoint']} instead of {wanted}"
    if (where["account"], where["stream"]) != ("$G", "WORK"):
        yield f"trigger {trigger['name']} looks into {where['account']}, {where['stream']} instead of $G, WORK"


def sums(spec, to_zero):
    """The lanes are added up, and what fails has a fallback; from zero neither may be."""
    modifiers, fallback = spec.get("advanced", {}).get("scalingModifiers"), spec.get("fallback")
    if to_zero:
        if modifiers or fallback:
            yield "a pool from zero has neither formula nor fallback: a lane that is not there yet is an error"
        return
    if not modifiers:
        yield "its lanes are not added up"
    elif sorted(re.findall(r"\w+", modifiers["formula"])) != sorted(t["name"] for t in spec["triggers"]):
        yield f"its formula {modifiers['formula']} does not name each trigger once"
    if not fallback:
        yield "it has no fallback"
    elif not spec["minReplicaCount"] <= fallback["replicas"] <= spec["maxReplicaCount"]:
        yield f"its fallback of {fallback['replicas']} replicas is out of its bounds"


def plain(_, scaler, of_pool):
    asked = {}
    for metric in scaler["spec"].get("metrics", []):
        found = metric.get("external") or metric.get("pods") or {"metric": {"name": metric["type"]}}
        asked[found["metric"]["name"]] = found["metric"].get("selector", {}).get("matchLabels", {})
    for name in METRICS.keys() - asked.keys():
        yield f"it does not ask for {name}"
    for name, labels in asked.items():
        if labels.keys() != {METRICS.get(name)}:
            yield f"it asks for {name} with {labels}, which nobody exports"
    backlog = asked.get("tasklane_lane_backlog", {}).get("pool")
    if backlog != of_pool:
        yield f"it looks at the pool {backlog} instead of {of_pool}"
    if asked.get("tasklane_slots", {}).get("state") != "busy":
        yield "it does not count busy slots"
