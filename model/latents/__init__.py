"""What generators in a continuous latent space share: noise and how it is taken away, and conditions."""
