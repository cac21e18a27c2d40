"""What a run looks like: the terminal table, pictures and the page."""
