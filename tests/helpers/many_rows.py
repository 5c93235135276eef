"""A run on many rows, in a process of its own, and the memory that it takes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2s_groups.core.seeds import stream

BLOCK = 2048
# Memory, as the system counts it, from after the imports to the highest mark of the run.
PROGRAM = """
import json, resource, sys, time
from pathlib import Path
import hydra, pandas, scipy.optimize, scipy.special, torch
from w2s_groups.experiment import job
from w2s_groups.interface import hydra_config
from w2s_groups.results import store

def status(field):
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(field)).split()[1])

hydra_config.register()
with hydra.initialize_config_dir(str(hydra_config.conf_dir()), version_base="1.3"):
    cfg = hydra_config.from_hydra(hydra.compose("config", sys.argv[1:]))
torch.zeros(600, 600, dtype=torch.float64) @ torch.zeros(600, 600, dtype=torch.float64)
before, start, user = status("VmRSS"), time.perf_counter(), time.process_time()
done = job.run(cfg)
assert not done.failed
table = store.load(job.results_folder(cfg), done.keys)
test = table[(table.split == "test") & (table.metric == "accuracy")]
print(json.dumps({
    "memory": status("VmHWM") - before,
    "seconds": time.perf_counter() - start,
    "user": time.process_time() - user,
    "accuracy": test.groupby("method").value.mean().to_dict(),
}))
"""


def write(folder: Path, n: int, widths: dict[str, int]) -> NDArray[np.int64]:
    """A table of n texts, one in six of the test split, and features files; its classes (n,)."""
    rng = stream(n, "bench/rows")
    y: NDArray[np.int64] = rng.integers(0, 2, n)
    a = rng.integers(0, 2, n)
    with (folder / "table.csv").open("w") as file:
        file.write("text,y,a,split\n")
        file.writelines(f"{k},{y[k]},{a[k]},{0 if k % 6 else 2}\n" for k in range(n))
    for name, d in widths.items():
        path, scale = folder / f"{name}.npy", np.linspace(2, 0.3, d)
        shape = (n, d)
        matrix = np.lib.format.open_memmap(path, "w+", np.float32, shape)
        for start in range(0, n, BLOCK):
            part = slice(start, start + BLOCK)
            X = rng.standard_normal((len(y[part]), d), dtype=np.float32)
            X[:, : d // 8] += 0.12 * (y[part, None] - 0.5)
            X[:, d // 8 : d // 4] += 0.08 * (a[part, None] - 0.5)
            matrix[part] = X * scale
        matrix.flush()
        del matrix
    return y


def overrides(folder: Path, n_l: int, n_u: int, limit: float, head: str) -> list[str]:
    """Of a run of one cell."""
    return [
        *("data=metadata_csv", "data.name=rows", f"data.root={folder}", "data.table=table.csv"),
        *("data.text_columns=[text]", "seeds=[0]", f"n_l={n_l}", f"n_u={n_u}", "eta_l=0.3"),
        *("eta_u=0.5", "dimensions=false", f"memory_limit_gb={limit:g}", f"head={head}"),
        *(f"teacher=file/{folder}/weak.npy", f"student=file/{folder}/strong.npy"),
        *("methods=[teacher,w2s,baseline,ceiling]", f"cache_dir={folder}/cache"),
        *(f"results_dir={folder}/{head}", f"reports_dir={folder}/{head}"),
    ]


def measured(folder: Path, *sizes: Any) -> dict[str, Any]:
    """What PROGRAM says of a run."""
    command = [sys.executable, "-c", PROGRAM, *overrides(folder, *sizes)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
