"""`python -m w2s_groups.gaussian`, the older name of `w2s-groups theory`."""

import sys

from w2s_groups.cli.theory import main

sys.exit(main(sys.argv[1:]))
