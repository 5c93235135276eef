"""The dimensions of two networks' features on a pool: measured once, and kept below results_dir."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from w2s_groups.core.errors import InputError
from w2s_groups.core.files import write_atomic
from w2s_groups.core.text import count
from w2s_groups.experiment import identity
from w2s_groups.experiment.memory_limit import GB
from w2s_groups.experiment.pool import Pair
from w2s_groups.experiment.prepare import Prepared
from w2s_groups.results import failures, store
from w2s_groups.similarity import leading, table
from w2s_groups.similarity.group_dimensions import pair_report

log = logging.getLogger("w2s_groups")


def of_pair(
    prepared: Prepared, pair: Pair, unwritable: InputError | None = None
) -> list[dict[str, Any]]:
    """Dimensions of two networks on the pool, as similarity.table has them; kept below results_dir.

    Of the standardised features, which heads see. Empty where they are not asked for, and, with a
    warning, where they cannot be measured: the cells are there and are reported.
    """
    cfg = prepared.cfg
    if not cfg.dimensions:
        return []
    # The word keeps measurements of features in the networks' own units from being taken for these.
    digest = store.digest([identity.measured(pair), "standardised"])[:16]
    path = Path(cfg.results_dir) / "pairs" / f"{digest}.json"
    try:
        return table.read(path)
    except InputError:
        raise  # unreadable, which is no damage
    except (OSError, ValueError):
        pass  # not measured yet, or a damaged file: measured again
    pool = pair.pool
    rows, noun = pool.drawable, prepared.dataset.NOUN
    widths = [matrix.shape[1] for matrix in pool.features.values()]
    need = leading.need(len(rows), *widths) / GB
    if need > cfg.memory_limit_gb:
        log.warning(
            "the dimensions of both networks need %.1f GB, more than memory_limit_gb=%g: left "
            "blank; set it higher, or dimensions=false",
            need, cfg.memory_limit_gb,
        )  # fmt: skip
        return []
    log.info(
        "measuring the dimensions of both networks on %s: about %s; dimensions=false leaves them "
        "out", count(len(rows), noun), _in_words(leading.seconds(len(rows), *widths)),
    )  # fmt: skip
    try:
        report = pair_report(
            pool.features["teacher"][rows],
            pool.features["student"][rows],
            pool.codes[rows],
            pool.groups,
            seed=0,
        )
    except Exception as error:  # of any kind: the work before it must not be lost
        log.warning("the dimensions cannot be measured (%s): left blank", failures.short(error))
        return []
    if unwritable is None:
        write_atomic(path, json.dumps(table.rows(report)).encode())
    return table.rows(report)


def _in_words(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} minutes"
