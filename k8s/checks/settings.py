"""The environment of every service, read by the service itself: one variable that it does not know, and it would not
start. Only a program that is newer than its sources is asked."""

import subprocess

from .rendered import label, pod_spec


def check(rendered):
    """Yields what the services say to their settings."""
    for service in rendered.services():
        program = newest(rendered, service["metadata"]["name"])
        if program:
            yield from (f"{label(service)}: {text}" for text in asked(rendered, service, program))


def unchecked(rendered):
    """The services of this repository that could not be asked."""
    names = [service["metadata"]["name"] for service in rendered.services()]
    return [n for n in names if (rendered.repository / "services" / n).exists() and not newest(rendered, n)]


def newest(rendered, name):
    """The program of a service, where it is built and up to date."""
    if not rendered.target:
        return None
    folders = [rendered.repository / "services" / name / "src", *rendered.repository.glob("shared/*/src")]
    changed = max((file.stat().st_mtime for folder in folders for file in folder.rglob("*.rs")), default=0)
    found = [rendered.target / profile / f"tasklane-{name}" for profile in ("release", "debug")]
    fresh = [p for p in found if p.exists() and p.stat().st_mtime >= changed]
    return max(fresh, key=lambda p: p.stat().st_mtime, default=None)


def asked(rendered, service, program):
    """What `--print-config` complains of."""
    settings = rendered.config(pod_spec(service)["containers"][0])
    answer = subprocess.run([program, "--print-config"], env=settings, capture_output=True, text=True, timeout=20)
    if answer.returncode:
        yield f"{program} refuses its settings: {' '.join(answer.stderr.split())}"
