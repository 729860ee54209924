"""Links in mails: good for fourteen days, powerless on GET, saying nothing about who holds them."""
