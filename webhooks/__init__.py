"""The mail room: takes in the provider's events, proves who sent them, keeps them, and hands each to its room."""
