"""What several tests share: the servers that they run on."""
