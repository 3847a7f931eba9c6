"""Pictures of checks."""
