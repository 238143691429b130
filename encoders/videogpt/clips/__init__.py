"""Clips of gameplay: from video files and game recordings into a folder of chunked files."""
