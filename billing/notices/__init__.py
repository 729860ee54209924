"""Letters: facts, templates, sending once."""
