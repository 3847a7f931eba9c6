"""Exact Hamiltonian trajectories about a Gaussian: bounded coefficients, generalised equations."""
