"""A stand-in for Anthropic's Messages API over loopback HTTP: its rules, its cache, its faults, and books of its own.

It is no model: it looks the question up among gold answers. What it refuses and counts follows the API's version of 2026-10-21;
what nobody has seen the API do is marked "assumed" where it is decided.
"""
