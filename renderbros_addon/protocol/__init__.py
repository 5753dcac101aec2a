"""Every message on the wire and every status. Imports no other room."""
