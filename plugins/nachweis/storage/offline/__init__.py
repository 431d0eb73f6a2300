"""What goes into an auditor's pack and works without this package."""
