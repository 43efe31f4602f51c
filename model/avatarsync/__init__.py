"""AvatarSync: phoneme-conditioned keyframes, then timestamp-aware interpolation (arXiv 2509.12052)."""
