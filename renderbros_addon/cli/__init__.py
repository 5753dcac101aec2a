"""The commands. Whatever they do is done by another room; here it gets its options, its words and its exit code."""
