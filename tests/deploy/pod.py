#!/usr/bin/env python3
"""Reads rendered Kubernetes manifests, and runs a pod's containers by docker as the kubelet would.

  pod.py kinds FILE                      prints KIND/NAME of each object
  pod.py docker FILE KIND NAME --dir DIR [--any-uid UID] [--set NAME=VALUE]...
                                         prints the `docker run` arguments of the pod's containers as JSON

Volumes become directories of DIR: DIR/claims/CLAIM, and DIR/pods/POD/VOLUME for the pod's own; a Secret's content is taken
from DIR/secrets/NAME/*, laid out with the kubelet's `..data` links, and the service account's from DIR/serviceaccount. --any-uid is what OpenShift sets where a pod names no user. A field that is not known here is an
error: nothing of a pod is left out in silence.
"""

import argparse
import json
import os
import shutil
import sys

import yaml


class Fields(dict):
    """A mapping whose every key has to be taken."""

    def __init__(self, what, mapping):
        super().__init__(mapping or {})
        self.what = what

    def take(self, key, default=None):
        return self.pop(key, default)

    def under(self, key):
        return Fields(f"{self.what}.{key}", self.take(key))

    def done(self, *ignored):
        left = set(self) - set(ignored)
        if left:
            sys.exit(f"pod.py: {self.what}: unknown here: {', '.join(sorted(left))}")


class Pod:
    """A pod's spec, its user, and its volumes as directories."""

    def __init__(self, spec, options):
        self.spec, self.options = Fields("spec", spec), options
        security = self.spec.under("securityContext")
        self.uid = security.take("runAsUser", options.any_uid)
        self.gid = security.take("runAsGroup", 0)
        self.group = security.take("fsGroup", options.any_uid)
        if security.take("runAsNonRoot") is not True or not self.uid:
            sys.exit("pod.py: the pod could run as root")
        if security.under("seccompProfile") != {"type": "RuntimeDefault"}:  # docker's default, too
            sys.exit("pod.py: the pod has no seccomp profile")
        security.done("seccompProfile")
        self.grace = self.spec.take("terminationGracePeriodSeconds", 30)
        self.account = self.service_account() if self.spec.take("automountServiceAccountToken") else None
        self.volumes = dict(self.volume(Fields("volumes", volume)) for volume in self.spec.take("volumes"))

    def volume(self, volume):
        """Its name, its directory, and whether it can only be read."""
        name, only_read = volume.take("name"), "secret" in volume
        if "secret" in volume:
            secret = volume.under("secret")
            path = self.secret(secret.take("secretName"), secret.take("defaultMode", 0o644))
            secret.done()
        elif "persistentVolumeClaim" in volume:
            claim = volume.under("persistentVolumeClaim")
            only_read = claim.take("readOnly", False)
            path = self.directory("claims", claim.take("claimName"), 0o755)
            claim.done()
        else:
            volume.take("emptyDir")
            path = self.directory(f"pods/{self.options.name}", name, 0o777)
        volume.done()
        return name, (path, only_read)

    def directory(self, place, name, mode):
        """As the kubelet makes it: root's, and for the pod's group if it has one."""
        path = os.path.join(self.options.dir, place, name)
        if not os.path.isdir(path):
            os.makedirs(path)
            os.chmod(path, mode)
        if self.group:
            os.chown(path, -1, self.group)
            os.chmod(path, mode | 0o2770)
        return path

    def secret(self, name, mode):
        source = os.path.join(self.options.dir, "secrets", name)
        path = self.directory(f"pods/{self.options.name}", f"secret-{name}", 0o755)
        data = os.path.join(path, "..2026_01_01_00_00_00.000000001")
        shutil.copytree(source, data)
        os.symlink(os.path.basename(data), os.path.join(path, "..data"))
        for key in os.listdir(data):
            os.symlink(os.path.join("..data", key), os.path.join(path, key))
            os.chown(os.path.join(data, key), 0, self.group or 0)
            os.chmod(os.path.join(data, key), mode | 0o040 if self.group else mode)
        return path

    def service_account(self):
        """Readable for the pod's group."""
        path = os.path.join(self.options.dir, "serviceaccount")
        for file in os.listdir(path):
            os.chown(os.path.join(path, file), 0, self.group or 0)
            os.chmod(os.path.join(path, file), 0o640)
        return f"--volume={path}:/var/run/secrets/kubernetes.io/serviceaccount:ro"

    def containers(self):
        """The docker arguments of each, init containers first, and the probes of the last."""
        init = [self.container(Fields("initContainers", one)) for one in self.spec.take("initContainers", [])]
        main = [self.container(Fields("containers", one)) for one in self.spec.take("containers")]
        self.spec.done("serviceAccountName", "restartPolicy")
        return {"init": [words for words, _ in init], "main": main[0][0], "probes": main[0][1], "grace": self.grace}

    def container(self, container):
        security = container.under("securityContext")
        if security.take("allowPrivilegeEscalation") is not False or not security.take("readOnlyRootFilesystem"):
            sys.exit("pod.py: the container could gain privileges, or write to its image")
        if security.under("capabilities") != {"drop": ["ALL"]}:
            sys.exit("pod.py: the container has capabilities")
        security.done("capabilities")
        words = [f"--user={self.uid}:{self.gid}", "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges"]
        words += [f"--group-add={self.group}"] if self.group else []
        words += [f"--stop-timeout={self.grace}"]
        words += [self.account] if self.account else []
        for mount in container.take("volumeMounts", []):
            path, only_read = self.volumes[mount["name"]]
            only_read = only_read or mount.get("readOnly")
            words.append(f"--volume={path}:{mount['mountPath']}{':ro' if only_read else ''}")
        variables = {variable["name"]: variable["value"] for variable in container.take("env", [])}
        variables |= dict(word.split("=", 1) for word in self.options.set)
        words += [f"--env={name}={value}" for name, value in variables.items()]
        if directory := container.take("workingDir"):
            words.append(f"--workdir={directory}")
        words += ["--interactive"] if container.take("stdin") else []
        words += ["--tty"] if container.take("tty") else []
        command, arguments = container.take("command"), container.take("args", [])
        image = container.take("image")
        if command:
            words.append(f"--entrypoint={command[0]}")
            arguments = command[1:] + arguments
        probes = {}
        for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
            if probe := container.take(kind):
                probes[kind] = probe["exec"]["command"]
        container.done("name", "resources")
        return {"options": words, "image": image, "arguments": arguments}, probes


def objects(path):
    with open(path, encoding="utf-8") as file:
        return [one for one in yaml.safe_load_all(file) if one]


def kinds(options):
    for one in objects(options.file):
        print(f"{one['kind']}/{one['metadata']['name']}")


def docker(options):
    found = [one for one in objects(options.file) if (one["kind"], one["metadata"]["name"]) == (options.kind, options.name)]
    if len(found) != 1:
        sys.exit(f"pod.py: {len(found)} of {options.kind}/{options.name}")
    spec = found[0]["spec"]
    print(json.dumps(Pod(spec["template"]["spec"] if "template" in spec else spec, options).containers()))


def main():
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(required=True)
    verb = verbs.add_parser("kinds")
    verb.set_defaults(run=kinds)
    verb.add_argument("file")
    verb = verbs.add_parser("docker")
    verb.set_defaults(run=docker)
    verb.add_argument("file")
    verb.add_argument("kind")
    verb.add_argument("name")
    verb.add_argument("--dir", required=True)
    verb.add_argument("--any-uid", type=int)
    verb.add_argument("--set", action="append", default=[])
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
