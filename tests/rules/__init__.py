"""The rules of the rooms, by properties over all days, states and amounts. Nothing here touches a database."""
