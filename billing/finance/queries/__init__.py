"""The one place that may read every room's tables, for people to look at. It writes nothing."""
