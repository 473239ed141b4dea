"""Reads metrics from standard input as OpenMetrics and as the older text format of Prometheus, and prints both as JSON:
by name of the family its type, its unit, and its samples as [name, labels, value]."""

import json
import sys

from prometheus_client import parser as prometheus
from prometheus_client.openmetrics import parser as openmetrics


def read(families):
    found = {}
    for family in families:
        samples = [[sample.name, sample.labels, sample.value] for sample in family.samples]
        new = {"type": family.type, "unit": family.unit, "help": family.documentation, "samples": []}
        # The older format has no family for `_total`, and its parser makes one of each line.
        assert family.name not in found or family.type == "unknown", f"{family.name} comes twice"
        found.setdefault(family.name, new)["samples"] += samples
    return found


text = sys.stdin.read()
json.dump(
    {
        "openmetrics": read(openmetrics.text_string_to_metric_families(text)),
        "prometheus": read(prometheus.text_string_to_metric_families(text)),
    },
    sys.stdout,
)
