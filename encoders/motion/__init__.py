"""Motion energy: luminance of pictures, and a pyramid of spatio-temporal Gabor filters in numpy."""
