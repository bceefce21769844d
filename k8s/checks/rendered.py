"""A rendered overlay, and the questions that all checks ask of it."""

import re

import yaml


class Rendered:
    """The documents of one overlay."""

    def __init__(self, text, repository, target=None):
        self.documents = [d for d in yaml.safe_load_all(text) if d]
        self.repository = repository
        self.target = target

    def kind(self, *kinds):
        """All documents of these kinds."""
        return [d for d in self.documents if d["kind"] in kinds]

    def named(self, kind, name):
        """The document of a kind and name, or None."""
        return next((d for d in self.kind(kind) if d["metadata"]["name"] == name), None)

    def workloads(self):
        """Everything that runs pods."""
        return self.kind("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "Pod", "ReplicaSet")

    def services(self):
        """The Deployments of Tasklane's own services."""
        return self.kind("Deployment")

    def config(self, container):
        """The environment of a container: what is written down, and what stands in its ConfigMaps."""
        values = {}
        for source in container.get("envFrom", []):
            found = self.named("ConfigMap", source.get("configMapRef", {}).get("name"))
            values.update((found or {}).get("data", {}))
        limits = container.get("resources", {}).get("limits", {})
        for variable in container.get("env", []):
            resource = variable.get("valueFrom", {}).get("resourceFieldRef", {}).get("resource", "")
            if "value" in variable:
                values[variable["name"]] = variable["value"]
            elif resource.startswith("limits."):
                values[variable["name"]] = limits.get(resource.removeprefix("limits."), "")
        return values


def label(document):
    """How messages call a document."""
    return f"{document['kind']}/{document['metadata']['name']}"


def pod_spec(workload):
    """The pod that a workload runs."""
    return workload["spec"]["template"]["spec"]


def pod_labels(workload):
    """The labels of a workload's pods."""
    return workload["spec"]["template"]["metadata"].get("labels", {})


def selects(selector, labels):
    """Whether a label selector takes in these labels. An empty one takes in all."""
    operators = {
        "In": lambda have, values: have in values,
        "NotIn": lambda have, values: have not in values,
        "Exists": lambda have, _: have is not None,
        "DoesNotExist": lambda have, _: have is None,
    }
    exact = all(labels.get(k) == v for k, v in (selector.get("matchLabels") or {}).items())
    wanted = selector.get("matchExpressions") or []
    return exact and all(operators[e["operator"]](labels.get(e["key"]), e.get("values", [])) for e in wanted)


def size(text):
    """A quantity of Kubernetes or NATS as a number: `3Gi`, `20GB` (which NATS counts in 1024s), `500m`."""
    match = re.fullmatch(r"([0-9.]+)\s*([A-Za-z]*)", str(text))
    if not match:
        raise ValueError(f"{text!r} is not a quantity")
    number, unit = float(match[1]), match[2]
    if unit in ("", "m"):
        return number / (1000 if unit else 1)
    power = "KMGTP".index(unit[0].upper()) + 1
    return number * (1000 if len(unit) == 1 else 1024) ** power


def seconds(text):
    """A duration of NATS's configuration, `30s` or `2m`, in seconds."""
    match = re.fullmatch(r"([0-9.]+)(ms|s|m|h)", text)
    if not match:
        raise ValueError(f"{text!r} is not a duration")
    return float(match[1]) * {"ms": 0.001, "s": 1, "m": 60, "h": 3600}[match[2]]
