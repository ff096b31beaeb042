"""What goes back: from logits and maps to JSON and pictures."""
