"""Requests, results, jobs, money, sizes and pictures as plain values, and their JSON. No I/O."""
