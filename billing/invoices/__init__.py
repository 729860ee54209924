"""Requests for invoices: who may ask until when, what is handed to the invoicing system, what counts as issued."""
