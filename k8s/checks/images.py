"""Images: each with a version, and the version that the repository pins."""

import re

from .rendered import label, pod_spec


def check(rendered):
    """Yields images that change under our feet, or are not of this version."""
    ours = pinned(rendered.repository / "Cargo.toml", r'(?m)^version = "([^"]+)"')
    nats = pinned(rendered.repository / "scripts/lib/versions.sh", r"(?m)^nats_server_version=(\S+)")
    for workload in rendered.workloads():
        spec = pod_spec(workload)
        for container in spec.get("initContainers", []) + spec["containers"]:
            yield from (f"{label(workload)}: {text}" for text in image(container["image"], ours, nats))


def pinned(path, pattern):
    """The version that stands in a file of the repository."""
    found = re.search(pattern, path.read_text(encoding="utf-8"))
    if not found:
        raise SystemExit(f"{path} pins no version that {pattern} finds")
    return found[1]


def image(name, ours, nats):
    """The problems of one image; `@sha256:...` is as good as a version."""
    path, _, digest = name.partition("@")
    base, _, tag = path.rpartition(":")
    if "/" in tag or not base:
        base, tag = path, ""
    if not digest and tag in ("", "latest"):
        yield f"image {name} has no version"
    elif re.search(r"(^|/)tasklane/", base) and not digest and tag != ours:
        yield f"image {name} is not of version {ours}"
    elif re.search(r"(^|/)nats$", base) and not digest and tag.split("-")[0] != nats:
        yield f"image {name} is not of version {nats}, which scripts/lib/versions.sh pins"
