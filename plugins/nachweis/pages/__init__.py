"""What people read: pages and documents rendered from the signed JSON."""
