"""The dispatcher: jobs, tasks, leases and workers in one database, blobs in one store, one HTTP API over both.

Start with :func:`.server.serve`. The README of the package tells how a frame travels through the modules.
"""
