"""The one wall towards the payment provider: our words on this side, `stripe_gateway` alone on the other."""
