"""A person's data: given to that person, erased on request, and deleted when nothing needs it any more."""
