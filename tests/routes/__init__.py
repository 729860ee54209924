"""The HTTP face: who may call what, in which shape it is answered, and what it says when something is wrong."""
