"""`python -m w2s_groups`, the same as the `w2s-groups` command."""

import sys

from w2s_groups.cli import main

if __name__ == "__main__":
    sys.exit(main())
