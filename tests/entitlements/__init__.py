"""The front desk: rules against a naive model, facts on a real PostgreSQL, routes over HTTP."""
