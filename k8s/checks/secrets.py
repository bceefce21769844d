"""Secrets: named, never contained; each service has its own and no other."""

import re

from .rendered import label, pod_spec

SERVER = "tasklane-nats-server"
MATERIAL = {
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    # Seeds of nkeys: S, the kind of key, and 56 more of base32. They may be part of a .creds file.
    "an nkey seed": re.compile(r"\bS[ACNOUXPB][A-Z2-7]{56}\b"),
    "a JWT": re.compile(r"\beyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]{10,}"),
    "a password in a URL": re.compile(r"://[^/\s:@\"]+:[^/\s:@\"]+@"),
}
SECRET_NAME = re.compile(r"(?i)(password|token|secret|seed|api_?key)$")


def check(rendered):
    """Yields secrets that lie open or are given to the wrong one."""
    for document in rendered.documents:
        if document["kind"] == "Secret":
            yield f"{label(document)}: a Secret does not belong into an overlay"
        for text in strings(document):
            for what, pattern in MATERIAL.items():
                if pattern.search(text):
                    yield f"{label(document)} contains {what}"
    for workload in rendered.workloads():
        yield from (f"{label(workload)}: {text}" for text in references(rendered, workload))


def strings(value):
    """Every text in a document."""
    if isinstance(value, dict):
        yield from (text for item in value.items() for part in item for text in strings(part))
    elif isinstance(value, list):
        yield from (text for item in value for text in strings(item))
    elif isinstance(value, str):
        yield value


def references(rendered, workload):
    """What a workload takes from secrets and ConfigMaps."""
    spec = pod_spec(workload)
    own = SERVER if workload["kind"] == "StatefulSet" else f"tasklane-nats-{workload['metadata']['name']}"
    for volume in spec.get("volumes") or []:
        if "secret" in volume:
            yield from mounted(volume["secret"], own)
        if "configMap" in volume and not rendered.named("ConfigMap", volume["configMap"]["name"]):
            yield f"there is no ConfigMap/{volume['configMap']['name']}"
    for container in spec["containers"]:
        yield from environment(rendered, container)


def mounted(secret, own):
    if secret["secretName"].startswith("tasklane-nats-") and secret["secretName"] != own:
        yield f"it mounts {secret['secretName']}, which is not its own"
    if secret.get("defaultMode", 0o644) & 0o007:
        yield f"the files of {secret['secretName']} can be read by everybody"


def environment(rendered, container):
    for source in container.get("envFrom", []):
        name = source.get("configMapRef", {}).get("name")
        if not rendered.named("ConfigMap", name):
            yield f"its environment comes from something else than a ConfigMap of this overlay: {source}"
    for variable in container.get("env", []):
        if SECRET_NAME.search(variable["name"]) and variable.get("value"):
            yield f"{variable['name']} stands open in its environment"
