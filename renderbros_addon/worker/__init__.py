"""The worker: leases tasks, supervises a renderer process, returns results. Imports no Blender."""
