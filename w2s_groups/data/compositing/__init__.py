"""Cut-outs pasted on backgrounds: which images are made, how, and from which sources."""
