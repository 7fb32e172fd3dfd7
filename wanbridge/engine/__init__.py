"""Conversations with one provider as generators: submit, poll, download, rate limits. No I/O."""
