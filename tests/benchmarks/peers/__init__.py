"""What others would use instead, run for real, in the environment that `make bench` made for them (.venv/bench)."""
