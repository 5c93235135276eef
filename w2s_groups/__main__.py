"""`python -m w2s_groups`, the same as the `w2s-groups` command."""

from w2s_groups.app import main

if __name__ == "__main__":
    main()
