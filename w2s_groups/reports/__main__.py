"""`python -m w2s_groups.reports`, the older name of `w2s-groups report`."""

import sys

from w2s_groups.cli import main

sys.exit(main(["report", *sys.argv[1:]]))
