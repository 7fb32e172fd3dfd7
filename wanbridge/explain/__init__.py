"""What each provider would be sent, field by field, and the table of supported fields."""
