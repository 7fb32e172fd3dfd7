"""GCCAI's server as its manual describes it: requests it takes, tasks, replies, switches."""
