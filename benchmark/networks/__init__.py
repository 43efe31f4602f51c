"""The metric networks, on the field's published weights: Inception for FID, trunks for LPIPS, I3D for FVD."""
