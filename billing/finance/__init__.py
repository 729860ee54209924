"""The staff's reading room: who may look, everything sold and given in one list, and every look written down."""
