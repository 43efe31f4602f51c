"""The metric networks, on the published weights: Inception for FID, I3D for FVD. LPIPS is in datapipe."""
