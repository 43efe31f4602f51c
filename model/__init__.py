"""Generators of talking heads: training from shards, and video from a picture and speech."""
