"""The intermediate form: graphs of pointwise operations, products and reductions, and their derivatives."""
