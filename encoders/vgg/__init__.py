"""VGG16 (Simonyan and Zisserman, 2015, configuration D) in plain torch, and its weights."""
