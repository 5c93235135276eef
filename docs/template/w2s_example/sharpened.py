"""W2S on sharpened pseudolabels."""

import w2s_groups as w2s


@w2s.method(
    needs="teacher",
    summary="W2S on the teacher's sharpened probabilities",
    sources="Berthelot et al., MixMatch, NeurIPS 2019, https://arxiv.org/abs/1905.02249",
    ranges={"temperature": (0.01, 1.0)},
)
def sharpened(draws, solved, *, temperature: float = 0.5):
    """The teacher's probabilities to the power 1 / temperature."""
    power = solved["teacher"].proba(draws.unlabelled) ** (1 / temperature)
    return power / power.sum(axis=1, keepdims=True)
