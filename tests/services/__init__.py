"""The rooms at work on a real PostgreSQL, with a real SMTP server and the stand-in Stripe behind real HTTP."""
