"""Every document against its schema: Kubernetes' own, strictly, at the oldest and newest version that we run on; for
what others add to Kubernetes the schemas in k8s/schemas."""

import json
from pathlib import Path

import jsonschema
import kubernetes_validate

from .rendered import label

VERSIONS = ["1.33", "1.37"]
OTHERS = Path(__file__).parent.parent / "schemas"


def check(rendered):
    """Yields what does not keep to its schema, and documents that have none or come twice."""
    seen = set()
    for document in rendered.documents:
        missing = [k for k in ("apiVersion", "kind", "metadata") if not document.get(k)]
        if missing:
            yield f"a document has no {missing[0]}"
            continue
        if label(document) in seen:
            yield f"{label(document)} is there twice"
        seen.add(label(document))
        theirs = OTHERS / f"{document['kind'].lower()}.json"
        yield from by_file(document, theirs) if theirs.exists() else by_version(document)


def by_file(document, path):
    """Against one of our files."""
    schema = json.loads(path.read_text(encoding="utf-8"))
    for error in jsonschema.Draft202012Validator(schema).iter_errors(document):
        yield f"{label(document)}: {error.json_path}: {error.message}"


def by_version(document):
    """Against Kubernetes' own."""
    for version in VERSIONS:
        try:
            kubernetes_validate.validate(document, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            place = ".".join(str(part) for part in error.path)
            yield f"{label(document)}: {place}: {error.message} (Kubernetes {version})"
        except kubernetes_validate.SchemaNotFoundError:
            yield f"{label(document)}: Kubernetes {version} has no {document['kind']} in {document['apiVersion']}"
