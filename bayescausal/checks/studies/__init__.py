"""Simulation studies: what one replicate does, how many run anywhere, what is kept on disk.

:mod:`.recipe` is one replicate, :mod:`.answers` turns its answers into rows, :mod:`.engine` runs
replicates on any executor, :mod:`.ledger` writes them to disk as they come.
"""
