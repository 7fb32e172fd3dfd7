"""Requests, results, jobs, receipts, money, sizes, pictures: plain values and their JSON. No I/O."""
