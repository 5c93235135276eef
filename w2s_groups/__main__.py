"""`python -m w2s_groups`, the same as the `w2s-groups` command."""

import sys


def main() -> None:
    """`compose ...` writes a dataset, `results ...` looks after what is stored, `predict ...` and
    `plan ...` say what to expect before training; anything else configures a benchmark run."""
    # Each side is imported when it is asked for: the benchmark's takes seconds.
    if sys.argv[1:2] == ["compose"]:
        from w2s_groups import compose_command

        sys.exit(compose_command.main(sys.argv[2:]))
    if sys.argv[1:2] == ["results"]:
        from w2s_groups import results_command

        sys.exit(results_command.main(sys.argv[2:]))
    from w2s_groups import app

    if sys.argv[1:2] in (["predict"], ["plan"]):
        from w2s_groups import plan_command, predict_command

        if sys.argv.pop(1) == "predict":
            app.main_of("predict", predict_command.run)
        else:
            app.main_of("plan", plan_command.run)
        return
    app.main()


if __name__ == "__main__":
    main()
