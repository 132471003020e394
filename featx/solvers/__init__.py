"""Heads solved on inner products: what is fitted costs rows squared, however many features."""
