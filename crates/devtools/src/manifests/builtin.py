"""Holds manifests, a JSON list on standard input, to the schemas of one version of Kubernetes; prints what is wrong as a JSON list."""

import json
import sys

from kubernetes_validate import utils

# Problems of one manifest that are told at once.
MOST = 20


def problems(manifest, version):
    for _ in range(MOST):
        try:
            utils.validate(manifest, version, strict=True)
            return
        except utils.ValidationError as error:
            path = list(error.absolute_path)
            if error.validator != "additionalProperties":
                yield {"path": path, "message": error.message}
                return
            known = sorted(error.schema.get("properties", {}))
            # The part belongs to the manifest: without what is unknown the rest is looked at too.
            for key in [key for key in error.instance if key not in known]:
                yield {"path": path + [key], "unknown": key, "known": known}
                del error.instance[key]
        except utils.SchemaNotFoundError as error:
            yield {"path": ["apiVersion"], "message": f"Kubernetes {error.version} has no {error.kind} in {error.api_version}"}
            return


def main():
    version = sys.argv[1]
    found = []
    for number, manifest in enumerate(json.load(sys.stdin)):
        found += [{"object": number, **problem} for problem in problems(manifest, version)]
    json.dump(found, sys.stdout)


main()
