"""What `import w2s_groups` offers, over the same functions as the commands."""
