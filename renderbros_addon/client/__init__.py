"""Talks to a dispatcher: HTTP, WebSocket, blobs, retries; for workers and submitters alike."""
