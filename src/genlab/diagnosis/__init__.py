"""What is wrong with a run: rules over its history."""
