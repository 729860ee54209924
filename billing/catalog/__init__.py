"""What is sold: products, their prices over time, the features each grants; a TOML file, checked, and frozen."""
