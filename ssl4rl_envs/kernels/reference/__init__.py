"""The kernels in NumPy, one module an area: what the compiled ones must equal bit for bit."""
