"""All of bpy: open a scene safely, configure it, render a region of it, finish a frame, tell what a scene needs."""
