"""`w2s-groups theory` as a user meets it."""

import re

import pytest

from w2s_groups import cli

SETTING = "p_w=5 p_s=3 p_sw=1.36 mu_w=1.1 mu_s=1.2 gamma_z=0.05 nu_z=0.02 eta_l=0.05 eta_u=0.5"
GOOD = SETTING.split(" ")


def main(words: list[str]) -> int:
    return cli.main(["theory", *words])


def test_it_answers_the_three_questions(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(GOOD) == 0
    out = capsys.readouterr().out
    for word in ("gain", "exact", "printed", "best"):
        assert word in out


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("gamma_z=0.3", "gamma_z=0.3 with p_w=5"),
        ("eta_l=1.5", "eta_l=1.5"),
        ("p_sw=4", "p_sw=4"),
        ("sigma_xi=0", "sigma_xi=0"),
        ("gamma_x=0.1", "did you mean 'gamma_z'"),
        ("nu_z=many", "nu_z"),
        ("cos=0.5,0.5", "cos already fixes p_s and p_sw"),
        ("eta_t=0,2", "eta_t=2"),
        ("eta_t=0,x", "eta_t"),
        ("law=mixtures", "did you mean 'mixture'"),
        ("p_w=two", "p_w"),
        ("--chek", "did you mean '--check'"),
        ("extra", "'extra' is one word too many"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(
    capsys: pytest.CaptureFixture[str], change: str, words: str
) -> None:
    name = change.partition("=")[0]
    kept = [option for option in GOOD if not option.startswith(f"{name}=")]
    assert main([*kept, change]) == 2
    captured = capsys.readouterr()
    assert words in captured.err
    assert len(captured.err.strip().splitlines()) == 1
    assert captured.out == ""


def test_the_check_integrates_again(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*GOOD, "--check"]) == 0
    found = re.search(
        r"differ from the exact risks by at most (\S+) relative; .* up to (\S+)\.$",
        capsys.readouterr().out.strip(),
    )
    assert found is not None
    difference, error = (float(number) for number in found.groups())
    assert difference < 5 * error < 0.01


def test_a_student_wider_than_its_teacher_is_answered_with_a_note(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["p_w=2", "cos=0.5,0", "mu_w=1", "mu_s=1", "gamma_z=0.1", "nu_z=0.1", "eta_l=0.1"]
    assert main(words) == 0
    assert "note: p_s=3 > p_w=2" in capsys.readouterr().out
