"""The operator's tool as its user meets it: a process, its output and its exit code."""
