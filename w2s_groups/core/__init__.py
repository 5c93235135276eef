"""What every room uses: errors, seeds, files that are whole or absent, progress."""
