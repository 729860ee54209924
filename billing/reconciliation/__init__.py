"""Comparing with the provider in both directions: what is paid is granted at once, all else is proposed to people."""
