"""Drawing: Markov chains, Laplace approximations, the prior and known parameters, refits."""
