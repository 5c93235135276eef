"""`python -m w2s_groups.gaussian`, the older name of `w2s-groups theory`."""

import sys

from w2s_groups.cli import main

sys.exit(main(["theory", *sys.argv[1:]]))
