"""`w2s-groups features`: features into the cache, ahead of the runs that use them."""

from __future__ import annotations

import sys

from w2s_groups.core.text import wrapped
from w2s_groups.schema.features import FeaturesConfig


def run(cfg: FeaturesConfig) -> None:
    """Say what there is to do, do it, and say how to go on."""
    from w2s_groups.experiment import extract  # torch, which a refusal need not wait for

    own = sys.stdout  # which `ray_engine.cluster` replaces for what Ray prints
    planned = extract.plan(cfg)
    for line in extract.described(cfg, planned):
        print(wrapped(line), flush=True)
    for done in extract.run(cfg, planned):
        print(wrapped(extract.ended(cfg, done)), file=own, flush=True)
