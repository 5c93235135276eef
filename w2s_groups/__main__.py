"""`python -m w2s_groups`, the same as the `w2s-groups` command."""

import sys


def main() -> None:
    """`compose ...` writes a dataset, `results ...` looks after what is stored; anything else
    configures a run of the benchmark."""
    # Each side is imported when it is asked for: the benchmark's takes seconds.
    if sys.argv[1:2] == ["compose"]:
        from w2s_groups import compose_command

        sys.exit(compose_command.main(sys.argv[2:]))
    if sys.argv[1:2] == ["results"]:
        from w2s_groups import results_command

        sys.exit(results_command.main(sys.argv[2:]))
    from w2s_groups import app

    app.main()


if __name__ == "__main__":
    main()
