"""The kernels over torch's tensors, one module an area, on whatever device these lie: what draws where a GPU is.

torch is imported here alone, and only for who hands tensors in. Arithmetic is on integers, so the bits are NumPy's.
"""
