#!/usr/bin/env python3
"""Checks rendered overlays: every document against its schema, and what no schema can say.

    check.py REPOSITORY TARGET NAME=FILE...

REPOSITORY is the root of the checkout, for what is pinned there; TARGET is where cargo puts programs, for asking the
services of their settings (empty: they are not asked). FILE is what kustomize made of overlay NAME. Prints every
problem with its overlay, and exits with 1 if there is one. scripts/k8s-check.sh does the rendering; the checks are in
checks/, one subject a file.
"""

import sys
from pathlib import Path

from checks import images, nats, network, pods, scaling, schema, secrets, settings
from checks.rendered import Rendered

SUBJECTS = [pods, network, nats, scaling, images, secrets, settings]


def problems(rendered):
    """Every problem of one overlay, as text."""
    found = list(schema.check(rendered))
    if not rendered.named("StatefulSet", "nats"):
        found.append("there is no StatefulSet/nats, and nothing works without")
    # What does not keep to its schema cannot be looked at further.
    if found:
        return found
    return [text for subject in SUBJECTS for text in subject.check(rendered)]


def main(repository, target, overlays):
    failed, unchecked = False, set()
    for name, _, path in (overlay.partition("=") for overlay in overlays):
        rendered = Rendered(Path(path).read_text(encoding="utf-8"), Path(repository), target and Path(target))
        found = problems(rendered)
        for text in found:
            print(f"{name}: {text}")
        failed = failed or bool(found)
        if not found:
            print(f"{name}: {len(rendered.documents)} documents, nothing wrong")
            unchecked.update(settings.unchecked(rendered))
    if unchecked:
        names = ", ".join(sorted(unchecked))
        print(f"note: not asked whether they take their settings, for they are not built or out of date: {names}")
    return 1 if failed else 0


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
