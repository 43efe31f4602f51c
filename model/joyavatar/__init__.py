"""JoyAvatar (arXiv 2512.11423): blocks of frames from sound by few denoising steps, without an end."""
