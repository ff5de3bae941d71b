"""The life of a container: joins platform, guest, image and store."""
