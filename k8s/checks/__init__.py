"""What is checked of a rendered overlay, one subject a file. Each has `check(rendered)`, which yields problems."""
