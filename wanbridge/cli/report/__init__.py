"""What ``wanbridge compare`` found, for people, for programs and for a page to pass on."""
