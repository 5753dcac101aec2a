"""The web pages of a dispatcher."""
