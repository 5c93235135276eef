"""`python -m w2s_groups`, the same as the `w2s-groups` command."""

import sys


def main() -> None:
    """`compose ...` writes a dataset, `results ...` looks after what is stored, `predict ...` and
    `plan ...` say what to expect before training; anything else configures a benchmark run."""
    # Each side is imported when it is asked for: the benchmark's takes seconds.
    if sys.argv[1:2] == ["compose"]:
        from w2s_groups.cli import compose

        sys.exit(compose.main(sys.argv[2:]))
    if sys.argv[1:2] == ["results"]:
        from w2s_groups.cli import results

        sys.exit(results.main(sys.argv[2:]))
    from w2s_groups.cli import run

    if sys.argv[1:2] in (["predict"], ["plan"]):
        from w2s_groups.cli import plan, predict

        if sys.argv.pop(1) == "predict":
            run.main_of("predict", predict.run)
        else:
            run.main_of("plan", plan.run)
        return
    run.main()


if __name__ == "__main__":
    main()
