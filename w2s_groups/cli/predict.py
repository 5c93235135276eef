"""`w2s-groups predict`: phase maps of teacher, student and gain, before any head is trained."""

from __future__ import annotations

from w2s_groups.core.text import wrapped
from w2s_groups.schema.prediction import PredictConfig


def run(cfg: PredictConfig) -> None:
    """Predict every pair, measure heads where that is asked for, write and print."""
    from w2s_groups.experiment import predict  # torch, which a refusal need not wait for
    from w2s_groups.prediction import report

    prepared = predict.prepare_maps(cfg)
    pages = []
    for page in predict.pages(cfg, prepared):
        pages.append(page)
        print(report.summary(page.pair))
        print(f"\n{page.seconds:.0f} s; report in {page.folder}/")
        print(f"{wrapped(page.sentence)}\n" if page.sentence else "")
    together = predict.write_together(cfg, prepared.dataset, pages)
    if together is not None:
        folder, sentence = together
        print(f"all pairs together in {folder}/")
        if sentence:
            print(wrapped(sentence))
