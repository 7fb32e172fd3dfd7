"""One adapter for each provider, written from its manual; nothing here sends or waits."""
