"""Images: a store of blobs by digest, names, and one read-only root file for each image."""
