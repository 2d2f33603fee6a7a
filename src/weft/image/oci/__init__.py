"""OCI images: from and to registries and archives, and into the store. Layers become a root in `image.flatten`."""
