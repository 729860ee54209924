"""The HTTP face: who may call what, in which shape it is answered, what it says when something is wrong."""
