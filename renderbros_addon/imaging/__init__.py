"""Pixels without Blender: reading, fingerprints, level 0 of verification, assembly of tiles. Imports only protocol."""
