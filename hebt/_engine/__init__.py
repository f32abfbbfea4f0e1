"""Projection and iteration on arrays: kernels, threads, devices. For `hebt` alone."""
