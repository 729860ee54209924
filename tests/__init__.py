"""The suite: real PostgreSQL, broker, SMTP, HTTP and browser; stand-ins only for what is outside."""
