"""What a request asks for: from the bytes and headers that came to pictures and options."""
