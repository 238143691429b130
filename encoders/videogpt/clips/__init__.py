"""Clips of gameplay: video files and game recordings, prepared as a folder of chunked files."""
